"""The weights `pocket/conformer-tiny`, which this package carries; `steermoe_pocket.distil` made them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from steermoe_pocket.config import WeightsConfig


def conformer_tiny(_config: WeightsConfig) -> Path:
    """Return the folder of `pocket/conformer-tiny`."""
    return Path(__file__).with_name("conformer-tiny")
