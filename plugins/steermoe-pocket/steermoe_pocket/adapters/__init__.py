"""Trained adapters that this package carries; `python -m steermoe_pocket.adapters RUN` puts a run's here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from steermoe_pocket.config import WeightsConfig

#: The folder of each, by the last part of its name.
HERE = Path(__file__).parent


def asr(_config: WeightsConfig) -> Path:
    """Return the folder of `pocket/asr`."""
    return HERE / "asr"
