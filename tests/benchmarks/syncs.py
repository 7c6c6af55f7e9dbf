"""How often a training step on real parts waits for the device, counted without one."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.figure import Figure
from tests.benchmarks.lab import Lab
from tests.train.syncs import on_meta
from tests.train.test_syncs import Between, EnoughError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Steps that are counted, after the first, which computes what a run needs once.
COUNTED = 3


def waits(*, quick: bool) -> Iterator[Figure]:
    """Yield the waits of a step between two logged ones."""
    lab = Lab(f"train.steps={COUNTED + 2}", f"train.log_every={COUNTED + 2}", "train.batch_size=2")
    between = Between(1, 1 + COUNTED)
    with on_meta(pytest.MonkeyPatch()), TemporaryDirectory() as folder:
        trainer = lab.trainer(Path(folder), between)
        with pytest.raises(EnoughError):
            trainer.train()
    found = between.counted.found
    yield Figure(
        name="waits for the device a step, between logged steps",
        value=sum(found.values()) / COUNTED,
        bound=0,
        detail=", ".join(f"{count} × {kind}" for kind, count in found.items()) or "steering + linear",
    )
