"""`steermoe transcribe`: files in, texts out."""

from __future__ import annotations

import io
import json
import shutil
import sys
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

import steermoe_core
from steermoe_core.cli.main import main
from steermoe_core.data.audio.recordings import Recording
from steermoe_core.data.audio.waveform import load
from steermoe_core.errors import UsageError
from steermoe_core.plugins import load_registry
from steermoe_core.use.transcriber import Transcriber
from tests.rig import sentence, texts
from tests.tiny import sine, write_wav

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.rig import Rig


class Stream(io.StringIO):
    """A standard stream."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def test_one_file_is_its_text(rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The text that the evaluation gave, and nothing else."""
    assert main(["transcribe", str(finished), str(rig.folder / "dev" / "001.wav")]) == 0
    assert capsys.readouterr().out == texts(finished)["001.wav"] + "\n"


def test_several_files_are_named(rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line a file, in the order given; `--json` a line of JSON each."""
    expected = texts(finished)
    names = ["003.wav", "000.wav", "001.wav", "002.wav"]
    paths = [str(rig.folder / "dev" / name) for name in names]

    assert main(["transcribe", str(finished), *paths]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{path}: {expected[name]}" for path, name in zip(paths, names, strict=True)]

    assert main(["transcribe", str(finished), *paths, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["file"], row["text"]) for row in rows] == [
        (path, expected[name]) for path, name in zip(paths, names, strict=True)
    ]
    (whole,) = rows[0]["segments"]
    assert whole == {"start": 0.0, "end": rows[0]["seconds"], "text": rows[0]["text"], "stop": whole["stop"]}


def test_a_prompt_of_ones_own(rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each sound is asked it; the experiment's own gives what none gives; without a slot it is refused."""
    sound = str(rig.folder / "dev" / "001.wav")
    said = {}
    for prompt in ("please transcribe the audio content into text: ", "what is it ?"):
        assert main(["transcribe", str(finished), sound, "--prompt", prompt]) == 0
        said[prompt] = capsys.readouterr().out
    assert said["please transcribe the audio content into text: "] == texts(finished)["001.wav"] + "\n"
    assert len(set(said.values())) == 2

    slotless = rig.run('collator.template="{audio}"')
    capsys.readouterr()
    assert main(["transcribe", str(slotless), sound, "--prompt", "what is it ?"]) == 2
    assert f"{slotless} takes no question: its collator.template '{{audio}}' has no slot" in sentence(capsys)


def test_any_rate(rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """44.1 kHz stereo and 16 kHz mono of the same sound are the same text."""
    one = write_wav(rig.folder / "stereo.wav", 0.8, rate=44_100, channels=2, hertz=300.0)
    two = write_wav(rig.folder / "mono.wav", 0.8, hertz=300.0)

    assert main(["transcribe", str(finished), str(one), str(two), "--json"]) == 0

    first, second = (json.loads(line)["text"] for line in capsys.readouterr().out.splitlines())
    assert first == second


def test_adapter_folder_alone(rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The adapter folder can be taken elsewhere."""
    place = rig.folder / "given away"
    shutil.move(finished / "adapter", place)

    assert main(["transcribe", str(place), str(rig.folder / "dev" / "001.wav")]) == 0
    assert capsys.readouterr().out == texts(finished)["001.wav"] + "\n"


def test_files_that_cannot_be_used(rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence each and exit code 1; the others are written down all the same, in their order."""
    good = [str(rig.folder / "dev" / name) for name in ("000.wav", "001.wav")]
    (rig.folder / "bad").mkdir()
    text, empty, instant = (rig.folder / "bad" / name for name in ("text.wav", "empty.wav", "instant.wav"))
    text.write_text("hello")
    write_wav(empty, 0.0)
    write_wav(instant, 0.001)
    bad = {
        text: "cannot be read as audio (Format not recognised)",
        empty: "the audio file holds no samples",
        instant: "lasts 1 ms, which is too short to hear anything in it",
        rig.folder / "none.wav": "there is no such audio file",
    }

    code = main(["transcribe", str(finished), good[0], *map(str, bad), good[1]])

    said = capsys.readouterr()
    expected = texts(finished)
    assert code == 1
    assert said.out.splitlines() == [f"{good[0]}: {expected['000.wav']}", f"{good[1]}: {expected['001.wav']}"]
    *lines, listed = said.err.splitlines()
    assert listed == f"4 of 6 recordings have no transcript: {', '.join(map(str, bad))}"
    for line, (path, reason) in zip(lines, bad.items(), strict=True):
        assert line.startswith(f"steermoe: {path}")
        assert reason in line


def test_long_recordings(rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Longer than the encoder's 20 s: cut in the pauses, each piece as it would be by itself."""
    parts = [sine(12.0, hertz=300.0), np.zeros(4_000, np.float32), sine(12.0, hertz=500.0)]
    long = rig.folder / "long.wav"
    soundfile.write(long, np.concatenate(parts), 16_000)

    assert main(["transcribe", str(finished), str(long), "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    first, second = found["segments"]
    assert 12.0 < first["end"] == second["start"] < 12.25
    assert (first["start"], second["end"], found["seconds"]) == (0.0, 24.25, 24.25)
    wave, cut = load(long, 16_000), round(first["end"] * 16_000)
    alone = steermoe_core.load(finished).transcribe([wave[:cut], wave[cut:]])
    assert [first["text"], second["text"]] == alone
    assert found["text"] == " ".join(alone)

    assert main(["transcribe", str(finished), str(long), "--segment", "21"]) == 2
    assert sentence(capsys) == (
        "segments of 21 s: they may last 1 s at least, and no longer than the 20 s that the encoder takes"
    )


def test_a_run_says_how_long_its_segments_are(rig: Rig, finished: Path) -> None:
    """`[evaluate] segment` is for what is longer than the encoder takes; all else is heard whole."""
    settings = finished / "adapter" / "experiment.toml"
    text = settings.read_text()
    settings.write_text(text.replace("segment = 0.0", "segment = 4.0"))
    assert settings.read_text() != text
    model = steermoe_core.load(finished)

    longer, shorter = model.segments(sine(20.1)), model.segments(sine(19.9))

    assert all(2.0 < one.end - one.start <= 4.0 for one in longer[:-1])
    assert [one.end for one in shorter] == [19.9]
    assert len(model.segments(sine(19.9), longest=10.0)) > 1


def test_segments_do_not_depend_on_batches(
    rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Short segments, any batch size: the same text at the same times; silence has none."""
    noise = np.random.default_rng(2).standard_normal(16_000 * 9).astype(np.float32) / 9
    noise[48_000:96_000] = 0.0
    soundfile.write(rig.folder / "a.wav", noise, 16_000)
    words = ["transcribe", str(finished), str(rig.folder / "a.wav"), "--json", "--segment", "1.5"]

    printed = set()
    for size in ("1", "2", "16"):
        assert main([*words, "--batch-size", size, "--device", "cpu"]) == 0
        printed.add(capsys.readouterr().out)

    (line,) = printed
    soundfile.write(rig.folder / "a.wav", np.zeros(16_000), 16_000)
    assert main(words) == 0
    assert capsys.readouterr().err.endswith("a.wav: contains only silence, so there is no text\n")
    stops = {segment["stop"]: segment["text"] for segment in json.loads(line)["segments"]}
    assert stops["silence"] == ""
    assert len(stops) > 1
    assert len(json.loads(line)["segments"]) >= 6


def test_subtitles(rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On stdout for one file, in a folder for several; texts and JSON can go there too."""
    one, two = (str(rig.folder / "dev" / name) for name in ("000.wav", "001.wav"))
    expected = texts(finished)

    assert main(["transcribe", str(finished), one, "--srt"]) == 0
    assert capsys.readouterr().out.splitlines()[::2] == ["1", expected["000.wav"]]
    assert main(["transcribe", str(finished), one, two, "--vtt"]) == 2
    assert sentence(capsys) == "subtitles of 2 files need a folder: --output DIR"

    place = rig.folder / "subtitles"
    assert main(["transcribe", str(finished), one, two, "--vtt", "--output", str(place)]) == 0
    assert main(["transcribe", str(finished), one, two, "--output", str(place)]) == 0
    assert capsys.readouterr().out == ""
    assert sorted(file.name for file in place.glob("[!.]*")) == ["000.txt", "000.vtt", "001.txt", "001.vtt"]
    assert (place / "001.txt").read_text() == expected["001.wav"] + "\n"
    assert (place / "001.vtt").read_text().startswith("WEBVTT\n\n00:00:00.000 --> 00:00:0")

    (place / ".000.srt.partial").mkdir()
    assert main(["transcribe", str(finished), one, "--srt", "--output", str(place)]) == 1
    said = sentence(capsys)
    assert said.startswith(f"{place / '000.srt'} was not saved")
    assert said.endswith("or choose another --output folder")

    assert main(["transcribe", str(finished), one, one, "--output", str(place)]) == 2
    assert "two of the files would be written to" in sentence(capsys)
    assert main(["transcribe", str(finished), one, "--output", one]) == 2
    assert "cannot be created (File exists)" in sentence(capsys)


class TestWords:
    """`--words`, `--highlight-words`."""

    def test_words_have_times(self, rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """All words of a segment, within it, and how their times were found; the text is the same."""
        sound = str(rig.folder / "dev" / "001.wav")

        assert main(["transcribe", str(finished), sound, "--words", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)

        assert found["text"] == texts(finished)["001.wav"]
        (segment,) = found["segments"]
        assert [word["word"] for word in segment["words"]] == found["text"].split()
        assert segment["times"] == "attention"  # its projector is linear
        edges = [edge for word in segment["words"] for edge in (word["start"], word["end"])]
        assert edges == sorted(edges)
        assert edges[0] >= segment["start"]
        assert edges[-1] <= segment["end"]

    def test_highlighted(self, rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A subtitle for each word."""
        sound, text = str(rig.folder / "dev" / "001.wav"), texts(finished)["001.wav"]

        assert main(["transcribe", str(finished), sound, "--vtt", "--highlight-words"]) == 0

        cues = capsys.readouterr().out.removeprefix("WEBVTT\n\n").split("\n\n")
        assert len(cues) == len(text.split())
        assert all(cue.count("<u>") == 1 for cue in cues)
        assert {cue.split("\n")[1].replace("<u>", "").replace("</u>", "") for cue in cues} == {text}

    @pytest.mark.parametrize(
        ("flags", "reason"),
        [
            (["--words"], "--words needs a form that has times: --json, --srt or --vtt"),
            (["--highlight-words", "--json"], "--highlight-words needs --srt or --vtt"),
        ],
    )
    def test_forms_without_a_place_for_them(
        self, rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str], flags: list[str], reason: str
    ) -> None:
        """Exit code 2."""
        assert main(["transcribe", str(finished), str(rig.folder / "dev" / "001.wav"), *flags]) == 2
        assert sentence(capsys) == reason


class TestHotwords:
    """`--hotwords`."""

    def test_add_nothing_that_was_not_said(
        self, rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The text without them stays, but for what sounds like one; silence has no text."""
        sound = str(rig.folder / "dev" / "001.wav")
        soundfile.write(rig.folder / "quiet.wav", np.zeros(16_000), 16_000)

        assert main(["transcribe", str(finished), sound, "--hotwords", "xylophone, qwertz"]) == 0
        assert capsys.readouterr().out == texts(finished)["001.wav"] + "\n"
        assert main(["transcribe", str(finished), str(rig.folder / "quiet.wav"), "--hotwords", "one"]) == 0
        assert capsys.readouterr().out == "\n"
        assert main(["transcribe", str(finished), sound, "--hotwords", " , "]) == 2

    def test_stand_in_the_prompt(self, rig: Rig, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each sound is asked twice, once with them before its prompt; a template needs a slot."""
        model, asked = steermoe_core.load(finished), []
        batch = model.collator.prompt_batch

        def noted(waves: list[np.ndarray], prompts: list[str] | None = None) -> object:
            asked.append(prompts)
            return batch(waves, prompts)

        monkeypatch.setattr(model.collator, "prompt_batch", noted)
        model.segments(rig.folder / "dev" / "001.wav", hotwords=["one", "two"])

        prompt = "please transcribe the audio content into text: "
        assert asked == [None, [f"Words that may occur: one, two\n{prompt}"]]
        slotless = steermoe_core.load(rig.run('collator.template="{audio}"'))
        with pytest.raises(UsageError, match="has no slot"):
            slotless.segments(rig.folder / "dev" / "001.wav", hotwords=["one"])


def test_speech_is_detected(rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--vad`: nothing is written to a tone."""
    pytest.importorskip("silero_vad")
    sound = str(write_wav(rig.folder / "tone.wav", 3.0))

    assert main(["transcribe", str(finished), sound, "--json", "--vad"]) == 0

    said = capsys.readouterr()
    assert json.loads(said.out)["segments"] == [{"start": 0.0, "end": 3.0, "text": "", "stop": "silence"}]
    assert said.err == f"{sound}: contains no speech, so there is no text\n"


def test_speech_cannot_be_detected(
    rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without silero-vad: what to install, exit code 4."""
    monkeypatch.setitem(sys.modules, "silero_vad", None)
    assert main(["transcribe", str(finished), str(rig.folder / "dev" / "001.wav"), "--vad"]) == 4
    assert sentence(capsys) == "voice activity detection needs silero-vad: pip install 'steermoe[vad]'"


def test_stdin(
    rig: Rig, finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dash is the sound that is piped in."""
    content = (rig.folder / "dev" / "001.wav").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))

    assert main(["transcribe", str(finished), "-"]) == 0
    assert capsys.readouterr().out == texts(finished)["001.wav"] + "\n"
    assert main(["transcribe", str(finished), "-", "-"]) == 2


def test_beside_a_progress_bar(rig: Rig, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text is printed once, in one line: above the bar where both are one terminal, else on stdout."""
    sound = rig.folder / "a.wav"
    model = steermoe_core.load(finished)
    monkeypatch.setenv("COLUMNS", "40")
    for seconds, terminals in product((2.0, 70.0), ((True, True), (False, True), (False, False))):
        soundfile.write(sound, sine(seconds), 16_000)
        line = model.transcribe([sound])[0]
        with monkeypatch.context() as patch:
            out, err = (Stream(terminal=terminal) for terminal in terminals)
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)

            assert main(["transcribe", str(finished), str(sound)]) == 0

        above = all(terminals) and seconds > 60
        assert (err if above else out).getvalue().count(line) == 1
        assert out.getvalue() == ("" if above else line + "\n")
        assert ("transcribing" in err.getvalue()) is (seconds > 60)


def test_results_come_as_they_are_ready(rig: Rig, finished: Path) -> None:
    """The first texts are there before the last sound is opened."""
    opened = []

    class Noted(Recording):
        def blocks(self, rate: int) -> Iterator[np.ndarray]:
            opened.append(self.name)
            return super().blocks(rate)

    names = ("000.wav", "001.wav", "002.wav", "003.wav") * 2
    model = Transcriber(finished, load_registry(), batch_size=1)

    found = model.transcripts([Noted(rig.folder / "dev" / name, name) for name in names])

    assert next(found).text == texts(finished)["000.wav"]
    assert opened == list(names[:4])
    assert [one.text for one in found] == [texts(finished)[name] for name in names[1:]]


def test_a_device_that_is_not_there(
    rig: Rig, finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 4."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    sound = str(rig.folder / "dev" / "000.wav")
    assert main(["transcribe", str(finished), sound, "--device", "cuda"]) == 4
    assert sentence(capsys).startswith('torch finds no GPU for device "cuda"')


def test_not_a_run_folder(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2."""
    assert main(["transcribe", str(rig.folder), str(rig.folder / "dev" / "000.wav")]) == 2
    expected = (
        f"{rig.folder} holds no trained adapter: it is neither a finished run folder nor an adapter folder"
    )
    assert sentence(capsys) == expected
