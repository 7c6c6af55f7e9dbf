"""Runs of steermoe in TensorBoard, Trackio, Weights & Biases and MLflow; imports none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core import Component, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator


@hookimpl
def steermoe_callbacks() -> Iterator[Component]:
    """Yield a callback for each tracker."""
    trackers = (
        ("tensorboard", "TensorBoard", "TensorBoard event files in its folder", "tensorboard>=2.20"),
        ("trackio", "Trackio", "Trackio, local or on a Space", "trackio>=0.40"),
        ("wandb", "Wandb", "Weights & Biases, online or offline", "wandb>=0.31"),
        ("mlflow", "Mlflow", "MLflow, a local store or a server", "mlflow-skinny>=3"),
    )
    for name, cls, summary, package in trackers:
        yield Component(
            name=name,
            api=1,
            summary=f"logs the run to {summary}",
            config=f"steermoe_trackers.config:{cls}Config",
            factory=f"steermoe_trackers.clients.{name}:{cls}Callback",
            gives=(),
            requires=(package,),
        )
