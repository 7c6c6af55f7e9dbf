"""The curves of the performance page: their settings are those that the experiment takes today."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from docs.generate import curves
from steermoe_core.run.cost.roofline import Roofline
from tests.docs.pages import ROOT

if TYPE_CHECKING:
    import pytest

    from steermoe_core.config.resolve import Resolved


def test_every_point_is_an_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is made in minutes; here each point is checked, and costs nothing."""
    points: list[float] = []
    numbers = {field.name: 1.0 for field in attrs.fields(Roofline)}

    def computed(resolved: Resolved, *_: object) -> list[Roofline]:
        assert resolved.experiment.train.batch_seconds is not None
        points.append(resolved.experiment.train.batch_seconds)
        return [Roofline(**{**numbers, "ranks": 1, "waiting": 0.5, "kernels": 1})]  # type: ignore[arg-type]

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(curves, "rooflines", computed)
    page = curves.reference()

    assert points[:5] == [30.0, 60.0, 120.0, 240.0, 480.0]
    assert len(points) == 5 + 5 + 4 + 1
    assert page.count("\n## ") == (ROOT / "docs" / "reference" / "curves.md").read_text().count("\n## ")
