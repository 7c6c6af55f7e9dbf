"""What the doctor says of the machine, from facts; no GPU is needed to test it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.doctor import machine
from steermoe_core.doctor.finding import CODES, Finding, exit_code
from steermoe_core.doctor.machine import Folder, Machine, Sound

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.errors import ExitCode

ROOM = Folder(path="some where", free=10**12, writable=True)
SOUND = Sound(libsndfile="1.2.2", formats=list(machine.FORMATS))
WELL = Machine(gpu=None, cores=2, threads=None, cache=ROOM, runs=ROOM, sound=SOUND)


def codes(torch: str = "2.13.0", **facts: Any) -> list[str]:
    """Return the codes of what is wrong with some facts."""
    return [finding.code for finding in machine.machine(attrs.evolve(WELL, **facts), torch)]


def test_a_machine_that_is_well() -> None:
    """Nothing is found where nothing is wrong."""
    assert codes() == []


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"gpu": "NVIDIA H100", "torch": "2.13.0+cpu"}, "gpu-unused"),
        ({"threads": "8"}, "threads"),
        ({"cache": attrs.evolve(ROOM, writable=False)}, "cache-folder"),
        ({"cache": attrs.evolve(ROOM, free=10**9)}, "disk-space"),
        ({"runs": attrs.evolve(ROOM, free=10**9)}, "disk-space"),
        ({"sound": Sound(libsndfile="1", formats=["WAV"])}, "sound-formats"),
        ({"sound": Sound(failed="OSError: no libsndfile")}, "package-broken"),
    ],
)
def test_what_is_wrong(facts: dict[str, Any], code: str) -> None:
    """Each fact that is wrong has its finding, and only that."""
    assert codes(**facts) == [code]


def test_a_gpu_that_torch_can_use() -> None:
    """A build for GPUs, or no torch to speak of, is nothing to say."""
    assert codes(gpu="NVIDIA H100", torch="2.13.0+cu130") == []


@given(
    st.sampled_from([None, "NVIDIA"]),
    st.integers(1, 256),
    st.none() | st.text(max_size=4),
    st.integers(0, 10**13),
    st.booleans(),
    st.lists(st.sampled_from(machine.FORMATS), unique=True),
    st.none() | st.text(min_size=1),
    st.none() | st.sampled_from(["2.6", "2.6+cpu"]),
)
def test_whatever_is_found_can_be_mended(
    gpu: str | None,
    cores: int,
    threads: str | None,
    free: int,
    writable: bool,  # noqa: FBT001 - a fact
    formats: list[str],
    failed: str | None,
    torch: str | None,
) -> None:
    """Of any facts: every finding has a known code, a sentence and a command."""
    folder = Folder(path="some where", free=free, writable=writable)
    sound = Sound(libsndfile="1", formats=formats, failed=failed)
    facts = Machine(gpu=gpu, cores=cores, threads=threads, cache=folder, runs=folder, sound=sound)

    for finding in machine.machine(facts, torch):
        assert finding.code in CODES
        assert finding.what
        assert finding.mend.count("`") == 2


def test_a_finding_without_a_command_is_a_mistake() -> None:
    """A complaint that does not say what to do cannot be made."""
    with pytest.raises(ValueError, match="mend"):
        Finding(code="threads", what="too many", mend="use fewer")


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([], 0),
        (["plugin-slow", "run-abandoned", "package-optional"], 0),
        (["plugin-broken", "plugin-slow"], 3),
        (["package-requirement"], 4),
        (["plugin-broken", "python-version", "threads"], 4),
    ],
)
def test_exit_code(found: list[str], code: ExitCode) -> None:
    """Plugins 3, all else 4, the higher of both; warnings and notes leave 0."""
    assert exit_code(Finding(code=name, what="x", mend="`y`") for name in found) == code


def test_facts_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are found without torch; a folder that does not exist yet has the room of the one above."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    facts = machine.facts(tmp_path / "not" / "yet")

    assert facts.cores >= 1
    assert facts.runs.free > 0
    assert facts.runs.writable
    assert "WAV" in facts.sound.formats
    assert codes(threads=facts.threads, sound=facts.sound) == []


def test_the_driver_names_the_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver's program is asked; one that fails means that there is no GPU to use."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA H100 80GB HBM3'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.gpu() == "NVIDIA H100 80GB HBM3"

    program.write_text("#!/bin/sh\nexit 9\n")
    assert machine.gpu() is None


def test_a_machine_without_libsndfile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its absence is a fact, no traceback."""
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    assert "ModuleNotFoundError" in (machine.sound().failed or "")
