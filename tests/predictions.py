"""Predictions made by hand, for tests of what judges them."""

from __future__ import annotations

from typing import Any

from steermoe_core.evaluate.prediction import Prediction


def predicted(hypothesis: str, reference: str, **facts: Any) -> Prediction:
    """Return a prediction for a clip of a second; all but the texts is made up unless given."""
    made_up = {"id": "clip", "seconds": 1.0, "tokens": len(hypothesis.split()), "stop": "eos"}
    return Prediction(hypothesis=hypothesis, reference=reference, **{**made_up, **facts})
