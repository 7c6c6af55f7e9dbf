"""The device and the CPU threads that an experiment names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from steermoe_core.errors import SetupError
from steermoe_core.run.assembly.device import available, move, set_threads


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` is the CPU; `cuda` is an error that says what to use."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    assert move(nn.Linear(1, 1), "auto").weight.device.type == "cpu"
    with pytest.raises(SetupError, match='no GPU for device "cuda"; take "auto" or "cpu"'):
        move(nn.Linear(1, 1), "cuda")


def test_memory_is_what_linux_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bytes; without a word from the system, there is no limit."""
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "MemTotal: 9 kB\nMemAvailable:   3 kB\n")
    assert available() == 3 * 1024

    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "MemTotal: 9 kB\n")
    assert available() > 2**60


@pytest.mark.parametrize(("threads", "then"), [(3, [3]), (0, [])])
def test_threads(monkeypatch: pytest.MonkeyPatch, threads: int, then: list[int]) -> None:
    """0 leaves torch's choice."""
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)

    set_threads(threads)

    assert asked == then
