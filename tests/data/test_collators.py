"""Batches hold the texts in their places, EOS on every answer, and real lengths for everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
import torch

from steermoe_core.data.audio.stored import Encoded, Mel, Segment
from steermoe_core.data.collators import AsrCollator
from steermoe_core.data.config import AsrConfig
from steermoe_core.data.example import Example
from steermoe_core.data.padded import Padded
from steermoe_core.errors import DataError, SetupError
from tests.sounds import processed_mels, sound, write_parquet
from tests.tiny import EOS, sine, tokenizer, write_wav

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

WORDS = tokenizer()


def features(waveforms: Sequence[np.ndarray[Any, Any]]) -> Padded:
    """Return the samples themselves as features of width 1."""
    return Padded.stack([torch.from_numpy(waveform)[:, None] for waveform in waveforms])


def collator(**settings: Any) -> AsrCollator:
    """Return a collator with some settings."""
    return AsrCollator(AsrConfig(**settings), WORDS, features)


def clip(folder: Path, text: str, seconds: float = 0.1, prompt: str | None = None) -> Example:
    """Write a clip and return its example."""
    path = write_wav(folder / f"{len(list(folder.iterdir()))}.wav", seconds)
    return Example(id=path.name, audio=path, text=text, seconds=seconds, prompt=prompt)


def words_of(padded: Padded, tokenizer: Any) -> list[list[str]]:
    """Return the tokens of each row."""
    return [list(tokenizer.convert_ids_to_tokens(row.tolist())) for row in padded.rows()]


def words(padded: Padded) -> list[list[str]]:
    """Return the tokens of each row in the tiny tokenizer."""
    return words_of(padded, WORDS)


def test_a_batch_of_unequal_clips(tmp_path: Path) -> None:
    """Audio, prompt and answers of two clips stand in their places, with their own lengths."""
    batch = collator(prompt="transcribe:")([clip(tmp_path, "one two", 0.2), clip(tmp_path, "three", 0.1)])

    assert batch.ids == ("0.wav", "1.wav")
    assert batch.features.lengths.tolist() == [3_200, 1_600]
    assert batch.seconds.tolist() == pytest.approx([0.2, 0.1])
    assert words(batch.before) == [[], []]
    assert words(batch.after) == [["transcribe", ":"]] * 2
    assert words(batch.answer) == [["one", "two", EOS], ["three", EOS]]


@pytest.mark.parametrize(
    ("template", "before", "after"),
    [
        ("{audio}{prompt}", [], ["what", "is", "it"]),
        ("{prompt}{audio}", ["what", "is", "it"], []),
        ("audio: {audio} text: {prompt}?", ["audio", ":"], ["text", ":", "what", "is", "it", "?"]),
        ("{prompt} {audio} :", ["what", "is", "it"], [":"]),
        ("{audio}", [], []),
    ],
)
def test_templates(tmp_path: Path, template: str, before: list[str], after: list[str]) -> None:
    """The prompt's slot may stand anywhere, with text around it."""
    batch = collator(template=template, prompt="what is it").collate([clip(tmp_path, "one")])

    assert words(batch.before) == [before]
    assert words(batch.after) == [after]
    assert words(Padded.stack([torch.tensor(batch.shared_before(), dtype=torch.int64)])) == [before]


def test_own_prompts_replace_the_common_one(tmp_path: Path) -> None:
    """A question goes with its clip; nothing before the audio is then common to all batches."""
    examples = [clip(tmp_path, "one", prompt="what is it?"), clip(tmp_path, "two")]

    batch = collator(template="{prompt}{audio}", prompt="transcribe").collate(examples)

    assert words(batch.before) == [["what", "is", "it", "?"], ["transcribe"]]
    assert batch.shared_before() == []


@pytest.mark.parametrize(
    ("template", "shared"),
    [
        ("audio text : {prompt} ? {audio}", ["audio", "text", ":"]),
        ("audio text : {audio} {prompt}", ["audio", "text", ":"]),
        ("{prompt} audio : {audio}", []),
    ],
)
def test_what_the_template_says_first_is_common(tmp_path: Path, template: str, shared: list[str]) -> None:
    """Whatever the clips' own prompts are, what stands before them is the same in all batches."""
    examples = [clip(tmp_path, "one", prompt="what is it"), clip(tmp_path, "two", prompt="the content")]

    batch = collator(template=template).collate(examples)

    assert WORDS.convert_ids_to_tokens(batch.shared_before()) == shared


def test_a_prompt_that_no_slot_takes_is_an_error(tmp_path: Path) -> None:
    """A question that would be ignored is not ignored in silence."""
    with pytest.raises(
        DataError, match=r"0\.wav: the clip has its own prompt, but collator\.template has no slot"
    ):
        collator(template="{audio}").collate([clip(tmp_path, "one", prompt="what is it?")])


def test_braces_in_a_prompt_are_text(tmp_path: Path) -> None:
    """A prompt cannot move the audio."""
    batch = collator().collate([clip(tmp_path, "one", prompt="{audio}{prompt}")])

    assert words(batch.before) == [[]]
    assert "audio" in words(batch.after)[0]


def test_lower_and_prefix_change_answers(tmp_path: Path) -> None:
    """Answers are learned in the form that the settings give, and come back without the prefix."""
    made = collator(lower=True, answer_prefix="text: ")

    batch = made.collate([clip(tmp_path, "ONE Two")])

    assert words(batch.answer) == [["text", ":", "one", "two", EOS]]
    assert words(collator().collate([clip(tmp_path, "ONE two")]).answer) == [["<unk>", "two", EOS]]
    assert collator(answer_prefix="one").hypothesis([*WORDS("one two")["input_ids"], 0, 5]) == "two"


def test_an_empty_answer_is_eos_alone(tmp_path: Path) -> None:
    """Silence is answered by ending, prefix or not; the other rows are not disturbed."""
    batch = collator(answer_prefix="text:").collate([clip(tmp_path, ""), clip(tmp_path, "one")])

    assert words(batch.answer) == [[EOS], ["text", ":", "one", EOS]]


def test_lengths_do_not_come_from_padding_tokens(tmp_path: Path) -> None:
    """Where the padding token is the end token, or an ordinary word, no answer loses its end."""
    for padding in (EOS, "one"):
        words_with_padding = tokenizer()
        words_with_padding.pad_token = padding
        made = AsrCollator(AsrConfig(), words_with_padding, features)

        batch = made.collate([clip(tmp_path, "one one"), clip(tmp_path, "one")])

        assert words(batch.answer) == [["one", "one", EOS], ["one", EOS]]


def test_no_answer_is_cut(tmp_path: Path) -> None:
    """An answer over the limit is an error by name in a batch, and counted where the data is chosen."""
    examples = [clip(tmp_path, "one"), clip(tmp_path, "one two three")]
    made = collator(max_answer_tokens=3)

    with pytest.raises(
        DataError, match=r"1\.wav: its answer has 4 tokens, more than collator\.max_answer_tokens = 3"
    ):
        made.collate(examples)
    kept, report = made.fitting(examples)

    assert kept == examples[:1]
    assert "1 with answers over 3 tokens: 1.wav" in str(report)
    assert collator(max_answer_tokens=4).fitting(examples)[0] == examples
    with pytest.raises(DataError, match="no clip is left"):
        made.fitting(examples[1:])


def test_batches_for_generation_have_no_answers(tmp_path: Path) -> None:
    """Scoring leaves the answers empty, however long the references are."""
    batch = collator(max_answer_tokens=1).collate(
        [clip(tmp_path, "one two"), clip(tmp_path, "three")], answered=False
    )

    assert batch.answer.lengths.tolist() == [0, 0]
    assert batch.answer.values.shape == (2, 0)


def test_bare_waveforms() -> None:
    """A waveform without a file is laid out as a clip would be, with its own prompt if it brings one."""
    made = collator(prompt="transcribe:")

    common = made.prompt_batch([sine(0.1), sine(0.2)])
    own = made.prompt_batch([sine(0.1), sine(0.2)], ["what", "is it"])

    assert common.features.lengths.tolist() == [1_600, 3_200]
    assert words(common.after) == [["transcribe", ":"]] * 2
    assert words(own.after) == [["what"], ["is", "it"]]
    assert common.answer.lengths.tolist() == [0, 0]
    assert len(common) == 2


def test_clips_are_resampled_to_the_rate(tmp_path: Path) -> None:
    """The encoder gets its own rate, whatever the file has."""
    made = AsrCollator(AsrConfig(), WORDS, features, 8_000)

    assert made([clip(tmp_path, "one", 0.5)]).features.lengths.tolist() == [4_000]


def test_hypothesis_ends_at_the_first_eos() -> None:
    """What comes after the end is not part of the answer; an answer without an end is whole."""
    one, two = WORDS("one two")["input_ids"]

    assert collator().hypothesis([one, WORDS.eos_token_id, two]) == "one"
    assert collator().hypothesis([one, two]) == "one two"
    assert collator().hypothesis([]) == ""


def test_a_transcript_with_the_end_token(tmp_path: Path) -> None:
    """A text that would end its answer early is refused by name."""
    with pytest.raises(DataError, match=r"0\.wav: its text holds '</s>', the token that ends an answer"):
        collator()([clip(tmp_path, f"one {EOS} two")])


def test_a_tokenizer_without_eos() -> None:
    """Without an end token no answer could end."""
    endless = tokenizer()
    endless.eos_token = None

    with pytest.raises(SetupError, match="no EOS token"):
        AsrCollator(AsrConfig(), endless, features)


def test_moving_a_batch_keeps_ids(tmp_path: Path) -> None:
    """Only features change their type."""
    batch = collator()([clip(tmp_path, "one")]).to("cpu", torch.bfloat16)

    assert batch.features.values.dtype == torch.bfloat16
    assert batch.answer.values.dtype == torch.int64
    assert words(batch.answer) == [["one", EOS]]


def mel(folder: Path, seconds: float = 0.5, bins: int = 8) -> Example:
    """Write a table with padded log-mels and return the example of its first row."""
    path = write_parquet(folder / f"{bins}.parquet", processed_mels(["one"], seconds, bins))
    audio = Mel(path, 0, "input_features", seconds)
    return Example(id="m", audio=audio, text="one", seconds=seconds)


def of_mels(bins: int = 8) -> AsrCollator:
    """Return a collator for an encoder with so many bins."""

    def features(waveforms: Sequence[np.ndarray[Any, Any]]) -> Padded:
        return Padded.stack([torch.zeros(len(waveform) // 160, bins) for waveform in waveforms])

    return AsrCollator(AsrConfig(), WORDS, features)


def test_stored_features_are_the_encoders_input(tmp_path: Path) -> None:
    """Log-mels go through as they were stored, padding included, with the frames that are real."""
    batch = of_mels()([mel(tmp_path, 0.5), attrs.evolve(mel(tmp_path, 2.0), id="n")])

    assert batch.features.values.shape == (2, 300, 8)
    assert batch.features.values[0, 2, 1] == 302.0
    assert batch.features.lengths.tolist() == [50, 200]
    assert batch.seconds.tolist() == [0.5, 2.0]
    assert words(batch.answer) == [["one", EOS]] * 2


def test_stored_features_of_another_shape(tmp_path: Path) -> None:
    """Features that were made for another encoder are told by their bins."""
    with pytest.raises(DataError, match=r"row 0: its features have 8 bins, but the encoder takes 80;"):
        of_mels(80)([mel(tmp_path)])


def test_stored_features_and_sound_are_not_mixed(tmp_path: Path) -> None:
    """A batch is one or the other."""
    with pytest.raises(DataError, match=r"8\.parquet row 0\) and sound \(.*1\.wav\) cannot be mixed"):
        of_mels()([mel(tmp_path), clip(tmp_path, "one")])


def test_clips_in_tables_sound_like_files(tmp_path: Path) -> None:
    """A batch may hold files, rows and spans; each is heard at the collator's rate."""
    write_wav(tmp_path / "a.wav", 1.0, 8_000)
    path = write_parquet(tmp_path / "t.parquet", {"audio": [sound(0.25, 44_100)]})
    audios = [tmp_path / "a.wav", Segment(tmp_path / "a.wav", 0.25, 0.5), Encoded(path, 0, "audio")]

    batch = collator()([Example(id=str(a), audio=a, text="one", seconds=1.0) for a in audios])

    assert batch.features.lengths.tolist() == [16_000, 8_000, 4_000]
    assert batch.seconds.tolist() == [1.0, 0.5, 0.25]
