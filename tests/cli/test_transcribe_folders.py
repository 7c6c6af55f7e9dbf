"""`steermoe transcribe`: folders and patterns as inputs, a folder for outputs."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from steermoe_core.cli.main import main
from steermoe_core.use.transcriber import Transcriber
from tests.rig import texts
from tests.tiny import write_wav

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from steermoe_core.data.audio.recordings import Recording
    from tests.rig import Rig


def test_all_sounds_below(rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder is its sound files, outputs lie as they do; a pattern is what it matches."""
    expected, out = texts(finished), rig.folder / "out"
    (rig.folder / "dev" / "notes.txt").write_text("no sound")
    (rig.folder / "dev" / "deep").mkdir()
    (rig.folder / "dev" / "000.wav").rename(rig.folder / "dev" / "deep" / "000.wav")

    assert main(["transcribe", str(finished), str(rig.folder / "dev"), "--out", str(out)]) == 0
    made = {path.relative_to(out).as_posix(): path.read_text() for path in out.rglob("*.txt")}
    assert made == {
        f"{'deep/' * (name == '000.wav')}{name[:3]}.txt": f"{text}\n" for name, text in expected.items()
    }

    assert main(["transcribe", str(finished), f"{rig.folder}/dev/**/00[01].wav"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"{rig.folder}/dev/001.wav: {expected['001.wav']}",
        f"{rig.folder}/dev/deep/000.wav: {expected['000.wav']}",
    ]


def test_a_second_call_resumes(
    rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an interrupted call finished is skipped; other options, or a changed sound, are done again."""
    out, sounds = rig.folder / "out", rig.folder / "dev"
    call = ["transcribe", str(finished), str(sounds), "--out", str(out), "--batch", "1"]

    def interrupted(self: Transcriber, names: list[Recording], *_: object, **__: object) -> Iterator[object]:
        yield from islice(transcripts(self, names), 2)
        raise KeyboardInterrupt

    transcripts = Transcriber.transcripts
    with monkeypatch.context() as patch:
        patch.setattr(Transcriber, "transcripts", interrupted)
        assert main(call) == 130
    assert sorted(path.name for path in out.glob("*.txt")) == ["000.txt", "001.txt"]
    (out / "000.txt").write_text("as it was")
    capsys.readouterr()

    assert main(call) == 0
    assert capsys.readouterr().err.startswith(f"2 of 4 recordings are in {out} already\n")
    assert (out / "000.txt").read_text() == "as it was"
    assert len(list(out.glob("*.txt"))) == 4

    write_wav(sounds / "002.wav", 0.5)
    (out / "003.txt").unlink()
    assert main(call) == 0
    assert capsys.readouterr().err.startswith(f"2 of 4 recordings are in {out} already\n")
    assert main([*call, "--segment", "2"]) == 0
    assert "already" not in capsys.readouterr().err
    assert (out / "000.txt").read_text() != "as it was"

    with monkeypatch.context() as patch:
        patch.setattr(Transcriber, "__init__", None)  # no model is loaded for nothing
        assert main([*call, "--segment", "2"]) == 0
