"""What every projector of steermoe promises."""

from __future__ import annotations

from typing import ClassVar

from steermoe_core.testing import ProjectorSuite


class TestWindowQFormer(ProjectorSuite):
    """Two tokens for each window of five frames."""

    component = "window-qformer"
    settings: ClassVar = {"window": 5, "queries": 2, "layers": 2, "width": 16, "heads": 2}


class TestConv(ProjectorSuite):
    """A quarter of the frames."""

    component = "conv"


class TestNarrowConv(ProjectorSuite):
    """One wide convolution, through few channels."""

    component = "conv"
    settings: ClassVar = {"layers": 1, "kernel": 7, "stride": 3, "channels": 8}


class TestMixture(ProjectorSuite):
    """Three adapters, with a balance loss."""

    component = "mixture"
    settings: ClassVar = {"experts": 3, "hidden": 8, "balance": 0.5, "pool": {"kernel": 2}}


class TestCif(ProjectorSuite):
    """Integrate-and-fire of pooled frames, with a quantity loss."""

    component = "cif"
    settings: ClassVar = {"pool": {"kind": "avg", "kernel": 2}}


class TestRecurrent(ProjectorSuite):
    """Before a soft-CTC head that starts on its own loss."""

    component = "recurrent"
    settings: ClassVar = {"width": 8, "head": {"use": "soft-ctc", "start_steps": 3}}


class TestRecurrentRidge(ProjectorSuite):
    """Before a linear head that is solved from the frames that it sees."""

    component = "recurrent"
    settings: ClassVar = {
        "width": 8,
        "layers": 1,
        "pool": {"kind": "stack", "kernel": 2},
        "head": {"use": "linear", "start": "ridge"},
    }


class TestRecurrentMixture(ProjectorSuite):
    """Before a head with losses by name."""

    component = "recurrent"
    settings: ClassVar = {"width": 8, "head": {"use": "mixture", "hidden": 8}}
