"""Programs of the system, called."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from steermoe_core.errors import SetupError
from steermoe_pocket.program import call

if TYPE_CHECKING:
    from pathlib import Path


def test_it_runs_in_a_folder_with_an_environment(tmp_path: Path) -> None:
    """What the program sees is what was given."""
    code = "import os, pathlib; pathlib.Path('out').write_text(os.environ['WORD'])"
    call([sys.executable, "-c", code], "no", folder=tmp_path, environment={"WORD": "hello"})
    assert (tmp_path / "out").read_text() == "hello"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["no-such-program"], "there is no no-such-program"),
        ([sys.executable, "-c", "import sys; sys.exit('first\\nlast words')"], "last words"),
        (["false"], "false ended with code 1"),
    ],
    ids=["missing", "with a reason", "silent"],
)
def test_a_failure_has_its_reason(command: list[str], reason: str) -> None:
    """The last line on stderr, or the exit code."""
    with pytest.raises(SetupError) as caught:
        call(command, "speech is not made")
    assert str(caught.value) == f"speech is not made: {reason}"
