"""GPUs by name."""

from __future__ import annotations

import pytest

from steermoe_core.errors import UsageError
from steermoe_core.run.cost.gpus import BANDWIDTH, GPUS, MATRIX, gpu_called


def test_a_name_in_any_case() -> None:
    """`H100` is `h100`; what is reached of its peak is what was measured elsewhere."""
    gpu = gpu_called("H100")

    assert gpu is GPUS["h100"]
    assert gpu.half * MATRIX == pytest.approx(600e12, rel=0.02)
    assert gpu.bandwidth * BANDWIDTH == pytest.approx(3.0e12, rel=0.02)


def test_an_unknown_name() -> None:
    """The message suggests one, and lists all."""
    with pytest.raises(UsageError, match=r"no GPU is called 'h10'; did you mean \"h100\"\? \(known: b200, "):
        gpu_called("h10")


def test_faster_arithmetic_in_half_precision() -> None:
    """No row has its columns mixed up."""
    assert all(gpu.half > gpu.single > gpu.bandwidth > gpu.memory for gpu in GPUS.values())
