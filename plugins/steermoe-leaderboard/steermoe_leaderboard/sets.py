"""The English short-form sets of the Open ASR leaderboard; importing this module is cheap.

Source of names and columns: github.com/huggingface/open_asr_leaderboard, `normalizer/eval_utils.py` and the
`submit_jobs` scripts.
"""

from __future__ import annotations

import attrs

#: The dataset with most of the sets; the hub shows the leaderboard's results on its page.
MAIN = "hf-audio/open-asr-leaderboard"


@attrs.frozen(kw_only=True)
class EvalSet:
    """One set.

    :param name: in this command, and of its folder below `--data`.
    :param heading: of its columns in the summary, before "WER" and "RTFx".
    :param task: its id in the results file of the hub; empty where the hub has none for it.
    :param repo: the dataset on the hub.
    :param config: configuration of the dataset; empty where it has one only.
    :param text: column with the reference; empty: the one with a usual name.
    :param id: column with the name of a clip; empty where there is none.
    :param sessions: dataset with the references of whole sessions, of which the clips are chunks; empty: each
        clip has its own.
    """

    name: str
    heading: str
    task: str = ""
    repo: str = MAIN
    config: str = ""
    split: str = "test"
    text: str = "text"
    id: str = "id"
    sessions: str = ""

    def manifest(self, model: str) -> str:
        """Return the name of the file with a model's outputs."""
        parts = [one.replace("/", "-") for one in (model, self.repo, self.config)]
        return f"MODEL_{parts[0]}_DATASET_{parts[1]}_{parts[2]}_{self.split}.jsonl"


#: The sets in the order of the summary's columns.
SETS = (
    EvalSet(name="ami_cleaned", heading="AMI-Cleaned", task="ami_wer", config="ami_cleaned"),
    EvalSet(
        name="earnings22_cleaned_aa_chunked",
        heading="Earnings22-Cleaned-AA-chunked",
        task="earnings22_wer",
        repo="ArtificialAnalysis/Earnings22-Cleaned-AA-chunked",
        id="file_name",
        sessions="ArtificialAnalysis/Earnings22-Cleaned-AA",
    ),
    EvalSet(
        name="gigaspeech_cleaned",
        heading="Gigaspeech-Cleaned",
        task="gigaspeech_wer",
        config="gigaspeech_cleaned",
    ),
    EvalSet(
        name="librispeech_test.clean",
        heading="LS Clean",
        task="librispeech_clean_wer",
        config="librispeech",
        split="test.clean",
    ),
    EvalSet(
        name="librispeech_test.other",
        heading="LS Other",
        task="librispeech_other_wer",
        config="librispeech",
        split="test.other",
    ),
    EvalSet(name="spgispeech", heading="SPGISpeech", task="spgispeech_wer", config="spgispeech"),
    EvalSet(
        name="monsoon_en_in",
        heading="Voice Arena Monsoon",
        repo="VoiceArena/Monsoon_en_IN_test",
        text="",
        id="",
    ),
    EvalSet(
        name="voxpopuli_cleaned_aa",
        heading="Voxpopuli-AA-Cleaned",
        task="voxpopuli_wer",
        config="voxpopuli_cleaned_aa",
    ),
)
