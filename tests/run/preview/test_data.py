"""The facts of an experiment's data: what is there, what would be left out, what training and test share."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.config.resolve import resolve
from steermoe_core.data.audio import sounds
from steermoe_core.data.audio.beginnings import kept_prints
from steermoe_core.data.audio.stored import Encoded, Segment
from steermoe_core.data.audio.waveform import load
from steermoe_core.data.config import JsonlConfig
from steermoe_core.data.example import Example
from steermoe_core.data.sources.jsonl import read_jsonl
from steermoe_core.plugins import load_registry
from steermoe_core.run.console import Console
from steermoe_core.run.preview.data import Clip, Overview, histogram, overview
from steermoe_core.run.preview.overlap import overlap
from tests.sounds import columns, sound, write_manifest, write_parquet
from tests.tiny import DIGITS, write_folder, write_wav

if TYPE_CHECKING:
    from tests.rig import Rig


def facts(rig: Rig, *sets: str, examples: int = 3, decode: bool = False) -> Overview:
    """Return the overview of the rig's experiment."""
    registry = load_registry()
    console = Console(quiet=True)
    return overview(resolve(rig.file, sets, registry), registry, console, examples=examples, decode=decode)


@given(st.lists(st.floats(0.01, 1e5), min_size=1, max_size=50))
def test_a_histogram_holds_every_value_once(values: list[float]) -> None:
    """Bars of one round width, as few as can be read, next to each other, the ends in use."""
    bars = histogram(values)

    assert sum(bar.clips for bar in bars) == len(values)
    assert len(bars) <= 12
    assert bars[0].clips
    assert bars[-1].clips
    assert [bar.high for bar in bars[:-1]] == [bar.low for bar in bars[1:]]
    width = bars[0].high - bars[0].low
    assert str(f"{width:.6e}")[0] in "125"
    for bar in bars:
        edge = 1e-6 * bar.high
        inside = [value for value in values if bar.low + edge < value < bar.high - edge]
        around = [value for value in values if bar.low - edge <= value <= bar.high + edge]
        assert len(inside) <= bar.clips <= len(around)


@pytest.mark.parametrize(("values", "bars"), [([], 0), ([0], 1), ([0.0, 0.0, 3.0], 2), ([5.0] * 9, 1)])
def test_a_histogram_of_little(values: list[float], bars: int) -> None:
    """Nothing, zeros and equal values have one too."""
    assert len(histogram(values)) == bars


def test_counts_and_lengths(rig: Rig) -> None:
    """Each set with its clips, hours, lengths in seconds, words and tokens, and examples."""
    train, dev, other = facts(rig).sets

    assert [one.set for one in (train, dev, other)] == ["data.train", "data.eval.dev", "data.eval.other"]
    assert (train.clips, train.used, train.use) == (10, 10, "folder")
    assert train.hours == pytest.approx(sum(0.3 + 0.05 * n for n in range(10)) / 3600, abs=1e-4)
    assert (train.seconds.least, train.seconds.median, train.seconds.most) == (
        0.3,
        0.525,
        0.75,
    )
    assert train.words.most == 1
    assert train.tokens.most == 1
    assert train.examples[1] == Clip(id="001.wav", seconds=0.35, prompt=None, text="one")
    assert len(train.examples) == 3


def test_what_would_be_left_out(rig: Rig) -> None:
    """The reasons of the run, tokens among them; of a scored split only what the encoder cannot take."""
    write_folder(rig.folder / "train", [*DIGITS[:8], "one two three", "nine"])
    write_folder(rig.folder / "dev", DIGITS[:4], [0.5, 21.0, 0.5, 0.5])  # the tiny encoder takes 20 s
    (rig.folder / "train" / "000.wav").unlink()

    train, dev, _ = facts(
        rig, "data.max_seconds=0.7", "collator.max_answer_tokens=3", "data.max_bad=0.5"
    ).sets

    assert (train.clips, train.used) == (10, 7)
    assert {reason: len(names) for reason, names in train.left_out.items()} == {
        "longer than 0.7 s": 1,
        "cannot be read": 1,
        "with answers over 3 tokens": 1,
    }
    assert dev.left_out == {"longer than 20 s": ["001.wav"]}


def test_what_a_run_would_refuse(rig: Rig) -> None:
    """The facts are shown all the same, with the reasons why the run would stop."""
    for number in range(3):
        (rig.folder / "train" / f"00{number}.wav").unlink()

    assert facts(rig).problems == ["data.train: 3 of 10 clips cannot be read, more than data.max_bad allows"]
    assert facts(rig, "data.max_bad=0.3").problems == []
    assert facts(rig, "data.max_seconds=0.2").problems[1:] == ["data.train: no clip is left"]
    (rig.folder / "train").rename(rig.folder / "all")
    write_folder(rig.folder / "train" / "test")
    assert "10 clips of a test split" in facts(rig).problems[0]


def test_a_set_of_which_nothing_can_be_read(rig: Rig) -> None:
    """A run would not score it."""
    for path in (rig.folder / "dev").glob("*.wav"):
        path.unlink()

    assert facts(rig).problems == ["data.eval.dev: no clip is left"]


def test_a_decode_looks_at_everything(rig: Rig) -> None:
    """What a header hides is found when it is asked for, by the flag or by the experiment."""
    path = rig.folder / "train" / "003.wav"
    soundfile.write(path, [math.nan if n == 4_000 else 0.1 for n in range(8_000)], 16_000, subtype="FLOAT")

    assert facts(rig).sets[0].used == 10
    for found in (facts(rig, decode=True), facts(rig, 'data.check="decode"')):
        assert "values that are not finite" in found.sets[0].left_out["cannot be read"][0]


def test_without_a_tokenizer(rig: Rig) -> None:
    """Where the decoder's tokenizer is not on the machine, everything but tokens is told."""
    found = facts(rig, 'decoder.weights="nobody/nothing"')

    assert {one.tokens for one in found.sets} == {None}
    assert found.problems == []


def test_several_sources_have_their_shares(rig: Rig) -> None:
    """Numbered in their order."""
    table = '[data.train]\nuse = "folder"\npath = "train"\n'
    text = rig.file.read_text().replace(table, f"[{table.splitlines()[0]}]\n" + table.split("\n", 1)[1])
    text = text.replace("[data.eval.dev]", '[[data.train]]\nuse = "folder"\npath = "dev"\n\n[data.eval.dev]')
    rig.file.write_text(text)

    found = facts(rig, "data.weights=[1,3]").sets[:2]

    assert [(one.set, one.share) for one in found] == [("data.train 1", 0.25), ("data.train 2", 0.75)]


def clip(audio: Any, text: str = "one", seconds: float = 0.5, **more: Any) -> Example:
    """Return an example of some audio."""
    return Example(id=f"{audio} {text}", audio=audio, text=text, seconds=seconds, **more)


def shared(train: list[Example], test: list[Example]) -> dict[str, Any]:
    """Return the overlap of two sets."""
    found = overlap(train, {"test": test}, Console(quiet=True))["test"]
    return {key: len(getattr(found, key)) for key in ("trained", "audio", "texts", "clusters")}


def test_the_same_text(tmp_path: Path) -> None:
    """Case and punctuation make no difference; a question does."""
    a, b = write_wav(tmp_path / "a.wav", hertz=300), write_wav(tmp_path / "b.wav", hertz=500)

    assert shared([clip(a, "Hello, you!")], [clip(b, "hello you")])["texts"] == 1
    assert shared([clip(a, "hello")], [clip(b, "hello you")])["texts"] == 0
    assert shared([clip(a, "yes", prompt="a?")], [clip(b, "yes", prompt="b?")])["texts"] == 0
    assert shared([clip(a, "")], [clip(b, "")])["texts"] == 0


def test_the_same_sound_in_another_file(tmp_path: Path) -> None:
    """Name, format and table make no difference; a span of a file is not the file."""
    wav = write_wav(tmp_path / "a.wav", hertz=440.0)
    soundfile.write(tmp_path / "b.flac", soundfile.read(wav, dtype="int16")[0], 16_000)
    sounds = [(tmp_path / "b.flac").read_bytes(), sound(hertz=441.0)]
    table = write_parquet(tmp_path / "t.parquet", {"audio": sounds})
    train = [clip(wav)]

    assert shared(train, [clip(wav)])["audio"] == 1
    assert shared(train, [clip(tmp_path / "b.flac")])["audio"] == 1
    assert shared(train, [clip(Encoded(table, 0, "audio"), seconds=0.49)])["audio"] == 1
    assert shared(train, [clip(Encoded(table, 1, "audio"))])["audio"] == 0
    assert shared(train, [clip(Segment(wav, 0.1, 0.3), seconds=0.3)])["audio"] == 0
    assert (
        shared([attrs.evolve(train[0], speed=2.0, seconds=0.25)], [clip(tmp_path / "b.flac")])["audio"] == 1
    )


def test_the_same_question(tmp_path: Path) -> None:
    """Of a clip with a question of its own, recording and question count; in any other file, too."""
    a, b = write_wav(tmp_path / "a.wav", hertz=300), write_wav(tmp_path / "b.wav", hertz=500)
    copy = Path(shutil.copy(a, tmp_path / "copy.wav"))
    train = [clip(a, "yes", prompt="Is it loud?"), clip(copy, "no", prompt="Is it far?")]

    def found(audio: Path, prompt: str | None) -> tuple[int, int]:
        facts = shared(train, [clip(audio, "no", prompt=prompt)])
        return facts["trained"], facts["audio"]

    assert found(a, "is it LOUD") == (1, 1)
    assert found(copy, "Is it loud?") == found(a, "Is it far?") == (1, 1)
    assert found(a, "Is it near?") == (0, 1)
    assert found(b, "Is it loud?") == (0, 0)


def test_a_clip_without_a_question_is_its_recording(tmp_path: Path) -> None:
    """Whoever learned what was said in it has heard the test, and the other way round."""
    a = write_wav(tmp_path / "a.wav")

    assert shared([clip(a)], [clip(a)])["trained"] == 1
    assert shared([clip(a, prompt="what is it ?")], [clip(a)])["trained"] == 1
    assert shared([clip(a)], [clip(a, prompt="what is it ?")])["trained"] == 1


def test_the_same_beginning_is_not_the_same_sound(tmp_path: Path) -> None:
    """Clips that begin alike, with silence for example, are heard to their ends."""
    for name, end in (("a", 0.5), ("b", -0.5), ("c", 0.5)):
        soundfile.write(tmp_path / f"{name}.wav", [0.0] * 16_000 + [end] * 100, 16_000)
    a, b, c = (clip(tmp_path / f"{name}.wav", seconds=1.00625) for name in "abc")

    assert shared([a], [b])["audio"] == 0
    assert shared([a], [b, c])["audio"] == 1


@pytest.mark.usefixtures("own_cache")
def test_what_training_read_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How its clips begin is known, and only those that begin as one that is scored are decoded."""
    for name, hertz in (("a", 300), ("b", 500), ("c", 300)):
        write_wav(tmp_path / f"{name}.wav", hertz=hertz)
    a, b, c = (clip(tmp_path / f"{name}.wav") for name in "abc")
    with kept_prints(when=True):
        for example in (a, b):
            load(example.audio, 16_000)
    decoded: list[Any] = []
    read = sounds.read
    monkeypatch.setattr(sounds, "read", lambda file, *more: decoded.append(file) or read(file, *more))

    assert shared([a, b], [c])["audio"] == 1
    assert set(decoded) == {a.audio, c.audio}


@pytest.mark.usefixtures("own_cache")
def test_the_overlap_of_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is that of the same examples in a list, at other speeds too."""
    lines = [
        {
            "audio": f"{n % 4}.wav",
            "offset": 0.1 * (n // 4),
            "seconds": 0.3,
            "text": f"Text {n}",
            "speaker": f"{n % 3}",
        }
        for n in range(12)
    ]
    for n in range(4):
        write_wav(tmp_path / f"{n}.wav", 1.0, hertz=301.3 + 50 * n)
    config = JsonlConfig(path=write_manifest(tmp_path / "m.jsonl", *lines), speeds=[1.0, 1.25])
    eager = list(read_jsonl(config))
    scored = [*eager[3:5], clip(tmp_path / "0.wav", "text 11!", 1.0), clip(tmp_path / "none.wav", "new", 0.3)]
    monkeypatch.setattr("steermoe_core.data.index.LEAST", 1)
    lazy = read_jsonl(config)

    found = [overlap(one, {"test": scored}, Console(quiet=True)) for one in (eager, lazy, lazy)]

    assert found[0] == found[1] == found[2]
    assert found[0]["test"].audio == [example.id for example in eager[3:5]]
    assert len(found[0]["test"].texts) == 3
    assert found[0]["test"].clusters == ["0", "1"]


def test_the_same_speaker(tmp_path: Path) -> None:
    """Speakers are counted once; clips without one are nobody's."""
    a = write_wav(tmp_path / "a.wav")

    assert (
        shared([clip(a, cluster="anna")], [clip(a, cluster="anna"), clip(a, cluster="anna")])["clusters"] == 1
    )
    assert shared([clip(a)], [clip(a)])["clusters"] == 0


def test_a_clip_that_cannot_be_read_is_like_no_other(tmp_path: Path) -> None:
    """Two unreadable files are not the same sound."""
    for name in "ab":
        (tmp_path / name).write_bytes(b"nothing")

    assert shared([clip(tmp_path / "a")], [clip(tmp_path / "b")])["audio"] == 0
    assert (
        shared([clip(tmp_path / "a", seconds=math.nan)], [clip(tmp_path / "a", seconds=math.nan)])["audio"]
        == 0
    )


def test_questions_are_shown(rig: Rig) -> None:
    """A clip's own prompt stands beside its text."""
    write_parquet(rig.folder / "t.parquet", columns(question=["a?", "b?", "c?"]))
    table = '[data.eval.dev]\nuse = "folder"\npath = "dev"\n'
    other = '[data.eval.dev]\nuse = "parquet"\npath = "t.parquet"\nprompt_column = "question"\n'
    rig.file.write_text(rig.file.read_text().replace(table, other))

    shown = facts(rig, examples=1).sets[1].examples

    assert shown == [Clip(id="t/0", seconds=0.5, prompt="a?", text="one")]
