"""Each trained tensor is in exactly one group of the optimizer, at the group's rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from steermoe_core.config.experiment import TrainConfig
from steermoe_core.errors import PluginError, UsageError
from steermoe_core.model.adapter import NoAdapter
from steermoe_core.model.config import LinearConfig
from steermoe_core.model.projectors import LinearProjector
from steermoe_core.train.groups import optimizer_groups, trainable_groups
from tests.parts import TinyConfig, decoder, joined

if TYPE_CHECKING:
    from steermoe_core.model.joined import Joined

RATES = {"projector": 1.0, "steering": 2.0, "router": 3.0, "scales": 4.0}
CONFIG = TrainConfig(steps=1, learning_rate=RATES, weight_decay=0.5)


@pytest.fixture
def model(decoder_folder: str) -> Joined:
    """Return the tiny model."""
    return joined(decoder_folder)


def test_every_tensor_is_in_one_group(model: Joined) -> None:
    """What the optimizer changes is what is trainable, each tensor once."""
    found = [id(p) for group in optimizer_groups(model, CONFIG) for p in group["params"]]

    assert len(found) == len(set(found))
    assert set(found) == {id(p) for p in model.parameters() if p.requires_grad}


def test_rates_are_those_of_the_groups(model: Joined) -> None:
    """Vectors, scales, router and projector each have their own."""
    rates = {id(p): group["lr"] for group in optimizer_groups(model, CONFIG) for p in group["params"]}

    by_name = {name: rates[id(p)] for name, p in model.named_parameters() if p.requires_grad}
    assert by_name == {
        "adapter.vectors": 2.0,
        "adapter.scales": 4.0,
        "adapter.router.weight": 3.0,
        "adapter.router.bias": 3.0,
        "projector.map.weight": 1.0,
        "projector.map.bias": 1.0,
    }


def test_only_matrices_decay(model: Joined) -> None:
    """Scales and biases are left out, the biases of the router's rows among them."""
    decays = {
        id(p): group["weight_decay"] for group in optimizer_groups(model, CONFIG) for p in group["params"]
    }

    decayed = {name for name, p in model.named_parameters() if decays.get(id(p)) == 0.5}
    assert decayed == {"adapter.vectors", "adapter.router.weight", "projector.map.weight"}


def test_decay_by_group(model: Joined) -> None:
    """A table sets the decay of its groups; another group has the default, vectors and biases none."""
    config = TrainConfig(steps=1, learning_rate=RATES, weight_decay={"router": 0.25})
    groups = optimizer_groups(model, config)

    assert {(one["name"], one["weight_decay"]) for one in groups if one["decayed"]} == {
        ("router", 0.25), ("steering", 0.01), ("projector", 0.01),
    }  # fmt: skip
    assert {one["weight_decay"] for one in groups if not one["decayed"]} == {0.0}


def test_a_tensor_without_a_group_is_the_plugins_fault(model: Joined) -> None:
    """The message names the parts and both counts."""
    model.adapter.forgotten = nn.Parameter(torch.zeros(2))

    with pytest.raises(
        PluginError, match=r"Steering and LinearProjector put 6 tensors into .*7 are trainable"
    ):
        trainable_groups(model)


def test_a_tensor_in_two_groups_is_the_plugins_fault(model: Joined, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be stepped twice."""
    twice = {"steering": list(model.adapter.parameters()), "router": list(model.adapter.router.parameters())}
    monkeypatch.setattr(model.adapter, "groups", lambda: twice)

    with pytest.raises(PluginError, match="exactly one group"):
        trainable_groups(model)


def test_a_group_without_a_rate_is_the_plugins_fault(model: Joined, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the group and the groups that have rates."""
    monkeypatch.setattr(model.adapter, "groups", lambda: {"sterring": list(model.adapter.parameters())})

    with pytest.raises(PluginError, match=r"'sterring' has no learning rate \(groups with one: projector"):
        optimizer_groups(model, CONFIG)


def test_something_has_to_be_trained(decoder_folder: str) -> None:
    """A model without a trainable number is refused before the optimizer sees it."""
    language_model = decoder(decoder_folder)
    fixed = LinearProjector(LinearConfig(trained=False), TinyConfig().width, language_model)

    with pytest.raises(UsageError, match="nothing is trained: no adapter or projector"):
        trainable_groups(joined(decoder_folder, NoAdapter(None), fixed))
