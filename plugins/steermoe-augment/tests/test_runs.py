"""Whole runs with every augmentation at once."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.rig import metrics, sentence, trained

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.rig import Rig


def every(noises: Path, responses: Path) -> str:
    """Return a flag that chooses all five."""
    tables = [
        '{use="speed", min_speed=0.8, max_speed=1.2}',
        f'{{use="reverb", path="{responses}", probability=0.5}}',
        f'{{use="noise", path="{noises}", probability=0.7}}',
        '{use="gain"}',
        '{use="spec-augment", time_share=0.5}',
    ]
    return f"augment=[{', '.join(tables)}]"


def test_numbers_do_not_depend_on_the_way(rig: Rig, noises: Path, responses: Path, tmp_path: Path) -> None:
    """A run with two workers that is killed in the middle of an epoch and resumed ends as a plain one."""
    flags = every(noises, responses), "train.workers=2"
    process = rig.process(*flags, RIG="kill@5")
    process.communicate()
    assert process.returncode == -signal.SIGKILL

    resumed = rig.run(*flags)
    rig.runs = tmp_path / "whole"
    whole = rig.run(flags[0])

    assert trained(resumed) == trained(whole)
    assert metrics(resumed) == metrics(whole)


def test_missing_noise(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence at the start; the path starts at the working directory of the flag."""
    rig.run('augment=[{use="gain"}, {use="noise", path="/no/such/noise"}]', expect=1)

    assert sentence(capsys) == (
        "augment.1 (noise): /no/such/noise: there is no such file or folder; "
        "set path to a folder with sound files"
    )
