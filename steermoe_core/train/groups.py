"""Parameter groups of the optimizer: `[train.learning_rate]` and `weight_decay` of each trained tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steermoe_core.errors import PluginError, UsageError
from steermoe_core.train.deepspeed import dimensions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from steermoe_core.config.experiment import TrainConfig
    from steermoe_core.model.joined import Joined


def trainable_groups(model: Joined) -> dict[str, list[nn.Parameter]]:
    """Return every trainable parameter of the model by group.

    :raises PluginError: a trainable parameter is in no group, or in two.
    :raises UsageError: nothing is trainable.
    """
    groups: dict[str, list[nn.Parameter]] = {}
    for part in (model.adapters, model.projector):
        for name, parameters in part.groups().items():
            groups.setdefault(name, []).extend(parameters)
    grouped = [id(parameter) for parameters in groups.values() for parameter in parameters]
    trainable = [id(parameter) for parameter in model.parameters() if parameter.requires_grad]
    if sorted(grouped) != sorted(trainable):
        parts = f"{type(model.adapters).__name__} and {type(model.projector).__name__}"
        msg = (
            f"{parts} put {len(grouped)} tensors into their groups, "
            f"but {len(trainable)} are trainable; each must be in exactly one group"
        )
        raise PluginError(msg)
    if not trainable:
        msg = "nothing is trained: no adapter or projector has a trainable parameter; choose another"
        raise UsageError(msg)
    return {name: parameters for name, parameters in groups.items() if parameters}


def optimizer_groups(model: Joined, config: TrainConfig) -> list[dict[str, Any]]:
    """Return AdamW's parameter groups: of each group, its matrices with decay and its other tensors without.

    :raises PluginError: `[train.learning_rate]` has no rate for a group.
    """
    matrices = {
        id(p)
        for n, p in model.named_parameters()
        if dimensions(p) >= 2 and not n.endswith("bias")  # noqa: PLR2004
    }
    groups = []
    for name, parameters in trainable_groups(model).items():
        rate = _rate(config.learning_rate, name)
        for decayed in (True, False):
            chosen = [p for p in parameters if (id(p) in matrices) == decayed]
            decay = config.decay_of(name) if decayed else 0.0
            if chosen:
                groups.append(
                    {"params": chosen, "lr": rate, "weight_decay": decay, "name": name, "decayed": decayed}
                )
    return groups


def _rate(rates: Mapping[str, float], name: str) -> float:
    if name not in rates:
        known = ", ".join(rates) or "none"
        msg = (
            f"the parameter group {name!r} has no learning rate (groups with one: {known}); set "
            f"train.learning_rate.{name}, or let the component that trains it declare the group in its record"
        )
        raise PluginError(msg)
    return rates[name]
