"""A run that is finished, for tests of what can be done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig


@pytest.fixture
def finished(rig: Rig, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return the folder of a finished run; what it printed is forgotten."""
    run = rig.run()
    capsys.readouterr()
    return run
