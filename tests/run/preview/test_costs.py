"""Time and cost of a run on GPUs that are not here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from steermoe_core.config.resolve import resolve
from steermoe_core.config.text.unset import Unset
from steermoe_core.errors import DataError, SetupError
from steermoe_core.model.joined import Joined
from steermoe_core.plugins import load_registry
from steermoe_core.run.console import Console
from steermoe_core.run.cost.gpus import GPUS
from steermoe_core.run.preview.costs import Machines, rooflines
from steermoe_core.run.preview.plan import Plan, plan

if TYPE_CHECKING:
    from typing import Any

    from tests.rig import Rig


EPOCHS = (Unset("train.steps"), "train.epochs=3")


def planned(rig: Rig, *sets: str | Unset, **options: Any) -> Plan:
    registry = load_registry()
    machines = Machines(**{"gpus": [GPUS["h100"]], "console": Console(quiet=True), "batches": 1, **options})
    return plan(resolve(rig.file, sets, registry), registry, rig.runs, seconds=1.0, machines=machines)


def test_cost_is_time_by_price(rig: Rig) -> None:
    """Ranks share the steps, and wait for one another; a GPU hour costs the same on each."""
    one, four = planned(rig, "train.steps=10", ranks=[1, 4], price=2.5).costs

    assert (one.steps, four.steps) == (10, 3)
    assert one.waiting == 0.0 <= four.waiting
    for row in (one, four):
        assert row.hours == pytest.approx(row.steps * row.step_seconds / 3600)
        assert row.price == pytest.approx(row.hours * row.ranks * 2.5)
        assert row.fits


def test_epochs_are_counted_for_each_number_of_ranks(rig: Rig) -> None:
    """10 clips are 4 batches of 3."""
    found = planned(rig, *EPOCHS, ranks=[1, 4]).costs

    assert [row.steps for row in found] == [12, 3]
    assert [row.price for row in found] == [None, None]


def test_lengths_that_are_published(rig: Rig) -> None:
    """They stand for data that is not here, whose clips nobody can count."""
    sets = ('data.train.path="nowhere"', *EPOCHS)
    (row,) = planned(rig, *sets, lengths="librispeech").costs

    assert (row.steps, row.hours) == (None, None)
    assert row.step_seconds > 0.0
    with pytest.raises(DataError, match=r"cannot be read here \(.*nowhere.*\); --lengths librispeech"):
        planned(rig, *sets)


def test_a_run_that_is_too_large(rig: Rig) -> None:
    """The memory of its longest batch decides."""
    (fits,) = planned(rig).costs
    (row,) = planned(rig, gpus=[GPUS["l4"]], lengths="librispeech").costs

    assert row.memory_bytes > fits.memory_bytes
    assert row.fits == (row.memory_bytes <= 0.92 * GPUS["l4"].memory)


def test_rooflines_need_the_lengths_too(rig: Rig) -> None:
    """One for each GPU and number of ranks, or the reason."""
    registry, console = load_registry(), Console(quiet=True)
    machines = Machines(gpus=[GPUS["h100"], GPUS["l4"]], console=console, batches=2, ranks=[1, 2])

    found = rooflines(resolve(rig.file, [], registry), registry, machines)

    assert [(one.gpu, one.ranks) for one in found] == [("h100", 1), ("h100", 2), ("l4", 1), ("l4", 2)]
    assert {(one.batches, one.lengths) for one in found} == {(2, "of the training clips")}
    with pytest.raises(DataError, match="nowhere"):
        rooflines(resolve(rig.file, ['data.train.path="nowhere"'], registry), registry, machines)


def test_a_part_that_asks_for_values(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """There are none in a trace."""
    frames = Joined.frames

    def asking(self: Joined, features: Any) -> Any:
        found = frames(self, features)
        assert found.values.sum() > 0
        return found

    monkeypatch.setattr(Joined, "frames", asking)
    with pytest.raises(SetupError, match="the training step cannot be traced without weights: "):
        planned(rig)
