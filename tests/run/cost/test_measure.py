"""A measurement takes the steps of the run itself, and leaves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from steermoe_core.config.resolve import resolve
from steermoe_core.config.text.unset import Unset
from steermoe_core.errors import UsageError
from steermoe_core.plugins import load_registry
from steermoe_core.run.console import Console
from steermoe_core.run.cost.measure import Measured, matrix_rate, measure
from tests.rig import files

if TYPE_CHECKING:
    from tests.rig import Rig


def measured(rig: Rig, *sets: str | Unset, steps: int = 3) -> Measured:
    registry = load_registry()
    resolved = resolve(rig.file, sets, registry)
    return measure(resolved, registry, Console(quiet=True), steps=steps)


def test_a_measured_step(rig: Rig) -> None:
    """Throughput follows from time and clips; the shares are of one whole; memory is counted and planned."""
    before = files(rig.folder)

    found = measured(rig)

    assert files(rig.folder) == before
    assert (found.steps, found.device) == (3, "the CPU, 1 thread")
    assert 2 <= found.clips <= 3
    assert found.utterances_per_second == pytest.approx(found.clips / found.step)
    assert found.tokens_per_second == pytest.approx(found.tokens / found.step)
    assert sum(found.shares.values()) == pytest.approx(1.0)
    assert set(found.shares) == {"data", "encoder", "projector", "decoder", "optimizer", "other"}
    assert 0.0 <= found.padding["decoder"] < 0.5
    assert found.mfu is not None
    assert 0.0 < found.mfu < 1.0
    assert list(found.rates) == ["float32"]
    assert found.planned_bytes is not None
    assert found.peak_bytes > found.planned_bytes > 0


def test_a_training_without_the_language_model(rig: Rig) -> None:
    """What no step computes takes no time and has no tokens; a later phase with it is what is measured."""
    found = measured(rig, 'projector={use="soft-ctc", start_steps=6}')
    later = measured(rig, 'projector={use="soft-ctc", start_steps=5}')

    assert later.tokens > 0

    assert found.tokens == 0
    assert "decoder" not in found.shares
    assert found.shares["projector"] > 0.0


def test_several_batches_a_step(rig: Rig) -> None:
    """All of them count."""
    assert 4 <= measured(rig, "train.accumulation=2", steps=2).clips <= 6


def test_ranks_wait_for_the_longest_clips(rig: Rig) -> None:
    """Several share the batches of the measured process; one waits for nobody."""
    registry = load_registry()
    resolved = resolve(rig.file, ["train.bucket=1", "train.batch_size=1"], registry)
    shares = [
        measure(resolved, registry, Console(quiet=True), steps=4, ranks=ranks).waiting for ranks in (1, 2)
    ]

    assert shares[0] == 0.0
    assert 0.0 < shares[1] < 0.5


def test_there_must_be_a_step(rig: Rig) -> None:
    """An experiment that only scores has none."""
    trained = rig.run("train.steps=2") / "adapter"

    with pytest.raises(UsageError, match=r"train.steps is 0: there is no training step"):
        measured(rig, Unset("projector"), f'adapter="{trained}"', "train.steps=0")


def test_the_rate_of_this_machine() -> None:
    """More than a loop in Python does, less than a GPU."""
    assert 1e8 < matrix_rate("cpu", torch.float32) < 1e14
