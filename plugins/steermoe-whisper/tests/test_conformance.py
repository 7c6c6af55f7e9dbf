"""What every encoder of steermoe promises, kept by Whisper with both kinds of input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from steermoe_core.testing import EncoderSuite
from tests.parts import save_reading_whisper

if TYPE_CHECKING:
    from pathlib import Path


class TestThirtySeconds(EncoderSuite):
    """Clips that are padded to 30 seconds."""

    component = "whisper"

    def settings(self, folder: Path) -> dict[str, str]:
        """Return the settings of a small random Whisper."""
        torch.set_num_threads(1)
        return {"weights": save_reading_whisper(folder), "input": "30s"}


class TestTrueLength(EncoderSuite):
    """Clips of their own length."""

    component = "whisper"

    def settings(self, folder: Path) -> dict[str, str]:
        """Return the settings of a small random Whisper."""
        torch.set_num_threads(1)
        return {"weights": save_reading_whisper(folder), "input": "true-length"}
