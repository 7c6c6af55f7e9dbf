"""The folder with the results of one model: manifests, a summary, the file for the hub.

MODEL_<model>_DATASET_<dataset>_<config>_<split>.jsonl   outputs, a file a set
summary.csv                  the leaderboard's columns
open_asr_leaderboard.yaml    for `.eval_results/` of the model's repository
leaderboard.json             the model, and what is known of each set
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import attrs

from steermoe_core import UsageError
from steermoe_leaderboard import manifest
from steermoe_leaderboard.sets import MAIN, SETS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from steermoe_leaderboard.manifest import Line
    from steermoe_leaderboard.scoring import SetScore
    from steermoe_leaderboard.sets import EvalSet

SUMMARY, RESULTS, RECORD = "summary.csv", "open_asr_leaderboard.yaml", "leaderboard.json"
#: Columns before those of the sets; those that no model states stay empty, as the leaderboard leaves them.
_LEADING = (
    "model", "avg", "RTFx", "License", "Size (B)", "# Languages", "Encoder", "Decoder",
    "Training data disclosure",
)  # fmt: skip
_BILLION = 1e9


@attrs.frozen(kw_only=True)
class About:
    """The model of a folder.

    :param model: its name in the files.
    :param sha256: of its trained tensors.
    :param parameters: of encoder, adapters, projector and decoder together.
    """

    model: str
    sha256: str
    parameters: int


@attrs.frozen(kw_only=True)
class Done:
    """What is known of a set in the folder.

    :param left_out: clips that the leaderboard does not score: their reference is empty.
    :param revision: commit of its dataset; empty if it is not known.
    :param date: of the outputs.
    :param setup: device and batch size, in words.
    """

    left_out: int
    revision: str
    date: str
    setup: str


class Folder:
    """The results of one model.

    :ivar about: the model; `check` sets it before the first set.
    :ivar done: the sets that are complete, by name.
    :raises UsageError: the folder cannot be used, or has the results of another model.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.about = About(model=name, sha256="", parameters=0)
        self.done: dict[str, Done] = {}
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"--out: the folder {path} cannot be created ({error.strerror})"
            raise UsageError(msg) from None
        if (path / RECORD).is_file():
            self._read()

    def check(self, about: About, again: Sequence[EvalSet]) -> None:
        """Check that sets of a model may be added.

        :param again: the sets that are scored now.
        :raises UsageError: other sets are there, of other weights.
        """
        kept = self.done.keys() - {one.name for one in again}
        if kept and about.sha256 != self.about.sha256:
            msg = (
                f"{self.path} has outputs of {self.name} with other weights, such as for {min(kept)}; "
                "choose another --out, or score all sets with --again"
            )
            raise UsageError(msg)
        self.about = about

    def add(self, one: EvalSet, lines: Sequence[Line], done: Done) -> None:
        """Write the outputs for a set, which is complete then."""
        self.write(one.manifest(self.name), manifest.text(lines))
        self.done[one.name] = done
        sets = {name: attrs.asdict(self.done[name]) for name in sorted(self.done)}
        record = {**attrs.asdict(self.about), "sets": sets}
        self.write(RECORD, json.dumps(record, indent=2, ensure_ascii=False) + "\n")

    def lines(self, one: EvalSet) -> list[Line]:
        """Return the outputs for a set.

        :raises UsageError: they are missing or damaged.
        """
        path = self.path / one.manifest(self.name)
        if not path.is_file():
            msg = f"{path} is missing; score the set again: --again --only {one.name}"
            raise UsageError(msg)
        return manifest.read(path)

    def write(self, name: str, text: str) -> None:
        """Write a file that is never seen half written.

        :raises UsageError: that is not possible.
        """
        partial = self.path / f".{name}.partial"
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(self.path / name)
        except OSError as error:
            msg = f"{self.path / name} cannot be written ({error.strerror}); choose another --out"
            raise UsageError(msg) from None

    def _read(self) -> None:
        path = self.path / RECORD
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            self.done = {name: Done(**facts) for name, facts in record.pop("sets").items()}
            self.about = About(**record)
        except (ValueError, TypeError, KeyError, AttributeError):
            msg = f"{path} is damaged; choose another --out"
            raise UsageError(msg) from None
        if self.about.model != self.name:
            msg = f"{self.path} has the results of {self.about.model}, not {self.name}; choose another --out"
            raise UsageError(msg)


def mean(scores: Mapping[str, SetScore]) -> float:
    """Return the mean of the sets' error rates, as the leaderboard averages them."""
    return sum(score.wer for score in scores.values()) / len(scores)


def rtfx(scores: Mapping[str, SetScore]) -> float:
    """Return the seconds of audio of all sets over the seconds that they took."""
    audio = sum(score.audio_seconds for score in scores.values())
    return round(audio / sum(score.seconds for score in scores.values()), 2)


def size(parameters: int) -> str:
    """Return a number of parameters in billions, or as it is where two decimals would say little."""
    return f"{parameters / _BILLION:.2f}B" if parameters >= _BILLION / 100 else f"{parameters:,}"


def summary(about: About, scores: Mapping[str, SetScore]) -> str:
    """Return the leaderboard's line of a model, with its header.

    :param scores: by the name of the set; the columns of others stay empty.
    """
    known = {
        "model": about.model,
        "avg": mean(scores),
        "RTFx": rtfx(scores),
        "Size (B)": round(about.parameters / _BILLION, 2),
    }
    rows = [(one.heading, scores.get(one.name)) for one in SETS]
    known |= {f"{heading} WER": score.wer for heading, score in rows if score}
    known |= {f"{heading} RTFx": score.rtfx for heading, score in rows if score}
    header = [*_LEADING, *(f"{name} {unit}" for unit in ("WER", "RTFx") for name, _ in rows)]
    file = io.StringIO()
    writer = csv.DictWriter(file, header, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerow(known)
    return file.getvalue()


def hub_results(about: About, scores: Mapping[str, SetScore], done: Mapping[str, Done], rule: str) -> str:
    """Return the file for `.eval_results/`: an entry a set, and the mean if all sets are there.

    :param rule: the text rule of the scores, in words.
    """
    circumstances = f"{size(about.parameters)} parameters, {rule}"
    import yaml  # type: ignore[import-untyped] # its types are a distribution of their own
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    entries = [
        EvalResultEntry(
            dataset_id=MAIN,
            task_id=one.task,
            value=scores[one.name].wer,
            dataset_revision=(done[one.name].revision or None) if one.repo == MAIN else None,
            date=done[one.name].date,
            notes=f"{circumstances}, {done[one.name].setup}",
        )
        for one in SETS
        if one.task and one.name in scores
    ]
    if len(scores) == len(SETS):
        revisions = {done[one.name].revision for one in SETS if one.repo == MAIN}
        entries.insert(
            0,
            EvalResultEntry(
                dataset_id=MAIN,
                task_id="mean_wer",
                value=round(mean(scores), 2),
                dataset_revision=(revisions.pop() or None) if len(revisions) == 1 else None,
                date=max(one.date for one in done.values()),
                notes=f"{circumstances}, mean of {len(SETS)} sets",
            ),
        )
    return str(yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False))
