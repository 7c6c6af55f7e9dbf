"""`python -m steermoe_core`: how a process ends."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.rig import ROOT

if TYPE_CHECKING:
    from pathlib import Path

#: Taking the interpreter down goes wrong, as it may where threads of a process group still want it.
FRAGILE = "import atexit, os\natexit.register(os._exit, 99)\n"


@pytest.mark.parametrize(("rank", "code"), [(None, 99), ("0", 0)])
def test_one_of_several_processes_ends_at_once(tmp_path: Path, rank: str | None, code: int) -> None:
    """What it printed is there, and nothing that happens after its work can change how it ended."""
    (tmp_path / "sitecustomize.py").write_text(FRAGILE)
    launched = {} if rank is None else {"RANK": rank}
    found = subprocess.run(
        [sys.executable, "-m", "steermoe_core", "--version"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", **launched},
        capture_output=True,
        text=True,
        check=False,
    )

    assert found.returncode == code
    assert found.stdout.startswith("steermoe ")
