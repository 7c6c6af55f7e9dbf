"""What the page shows of a model: transcript, answer, or one sentence on what is wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

import steermoe_core
from steermoe_core import DataError
from steermoe_demo import panel
from steermoe_demo.panel import answered, checked, failure, transcribed
from tests.tiny import write_wav

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig


@pytest.fixture
def model(finished: Path) -> steermoe_core.Transcriber:
    """Return the rig's model."""
    return steermoe_core.load(finished, "cpu")


def test_a_transcript(rig: Rig, model: steermoe_core.Transcriber) -> None:
    """Each segment with its times, the waveform, a heat map for each layer, and progress that adds up."""
    sound, done = rig.folder / "dev" / "001.wav", []
    (transcript,) = model.transcripts([sound])
    assert isinstance(transcript, steermoe_core.Transcript)

    html = transcribed(model, sound, done.append)

    assert [text.strip() for text in re.findall(r"</time><span>(.*?)</span>", html)] == [
        segment.text for segment in transcript.segments
    ]
    assert html.count('<svg class="wave"') == 1
    assert html.count("<img src=") == len(model.model.adapter.rows)
    assert sum(done) == pytest.approx(transcript.seconds, abs=0.01)
    assert "no routing" not in html


def test_a_model_without_a_router(rig: Rig, trained_once) -> None:
    """It has a waveform and a note, no heat map."""
    run = trained_once("adapter.experts=1", "train.steps=1").copied(rig)

    html = transcribed(steermoe_core.load(run, "cpu"), rig.folder / "dev" / "001.wav", lambda _: None)

    assert "No router on its audio encoder" in html
    assert "<img" not in html
    assert '<svg class="wave"' in html


def test_an_answer(rig: Rig, model: steermoe_core.Transcriber) -> None:
    """It is that of `Transcriber.ask`, under the question, which is text and not HTML."""
    sound = rig.folder / "dev" / "001.wav"

    html = answered(model, sound, "what is <b> ?")

    assert model.ask(sound, "what is <b> ?") in html
    assert "what is &lt;b&gt; ?" in html


@pytest.mark.parametrize("content", [b"", b"junk" * 100, b"RIFF\xff\xff\xff\xffWAVEfmt "])
def test_bad_audio(content: bytes, tmp_path: Path, model: steermoe_core.Transcriber) -> None:
    """One sentence with the name of the file, not with the folder that it was uploaded to."""
    sound = tmp_path / "speech.wav"
    sound.write_bytes(content)

    for html in (transcribed(model, sound, lambda _: None), answered(model, sound, "what ?")):
        assert re.search(r'<p class="failure" role="alert">speech\.wav: .+</p>', html)
        assert str(tmp_path) not in html


def test_a_bug_is_one_panel(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The page says so, and the terminal has the traceback."""

    class Broken:
        def ask(self, *_: Any) -> str:
            raise MemoryError

    html = answered(Broken(), rig.folder / "dev" / "001.wav", "what ?")

    assert "The model failed (MemoryError)" in html
    assert caplog.records[0].exc_info


def test_recordings_that_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None, and one that is longer than the page takes."""
    monkeypatch.setattr(panel, "LONGEST", 0.01)
    write_wav(tmp_path / "long.wav", seconds=1.0)

    with pytest.raises(DataError, match="Choose a file or record one first"):
        checked(None)
    with pytest.raises(DataError, match=r"^long\.wav lasts 1 minutes; this page takes 0\.01: use `steermoe"):
        checked(str(tmp_path / "long.wav"))
    assert "a &lt; b" in failure("a < b")
