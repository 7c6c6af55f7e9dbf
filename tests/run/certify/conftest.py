"""A rig for certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.run.certify.claims import FRESH, write_new

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.rig import Rig, Trained


@pytest.fixture
def fresh(rig: Rig) -> Rig:
    """Return a rig that scores what it does not train on."""
    write_new(rig)
    return rig


@pytest.fixture
def run(fresh: Rig, trained_once: Callable[..., Trained]) -> Path:
    """Return the folder of a finished run of that rig."""
    return trained_once(*FRESH).copied(fresh)
