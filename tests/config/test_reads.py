"""Settings that note who asks for them are the same settings, and note nothing but questions."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from steermoe_core.component import Selection
from steermoe_core.config.experiment import ExperimentInfo, LearningRates, TrainConfig
from steermoe_core.config.origins import Filler
from steermoe_core.config.reads import Reads, keys
from steermoe_core.config.resolve import resolve
from steermoe_core.model.config import IdentityConfig, LinearConfig, PoolConfig, SteeringConfig
from steermoe_core.plugins import load_registry

if TYPE_CHECKING:
    from pathlib import Path


def watched(settings: Any) -> tuple[Any, Reads]:
    """Return settings that note, and what they note."""
    reads = Reads()
    return reads.watched(settings), reads


def test_a_question_is_noted() -> None:
    """By attribute or by `getattr`, with the path of its table; a method's own questions count too."""
    settings, reads = watched(TrainConfig(steps=3))

    assert (settings.steps, getattr(settings, "ba" + "tch_size")) == (3, 8)
    assert settings.learning_rate.router == 2e-4
    assert reads.names == {"steps", "batch_size", "learning_rate", "learning_rate.router"}

    settings, reads = watched(SteeringConfig(layers=[1], router=Selection("router", "topk", None)))
    assert settings.steered(3) == [1]
    assert reads.names == {"layers"}


def test_what_walks_over_all_keys_asks_for_none() -> None:
    """Writing out, copying, comparing and printing are no use of a key."""
    settings, reads = watched(TrainConfig(steps=3))

    Filler(load_registry(no_plugins=True)).table(settings)
    list(keys(settings))
    attrs.evolve(settings, steps=4)
    assert settings == attrs.evolve(settings)
    assert "steps=3" in repr(settings)
    assert not reads.names


def test_a_table_that_is_taken_as_a_whole_is_read() -> None:
    """By whoever asks for it."""
    settings, reads = watched(LearningRates())
    assert attrs.asdict(settings)["lora"] == 1e-4
    assert reads.names == {"projector", "steering", "router", "scales", "lora"}


def test_a_changed_copy_goes_on_noting() -> None:
    """As parts get one, with the folder of their weights."""
    settings, reads = watched(TrainConfig(steps=3))
    assert attrs.evolve(settings, steps=4).steps == 4
    assert reads.names == {"steps"}


@pytest.mark.parametrize("settings", [TrainConfig(steps=3), LinearConfig(pool=PoolConfig(kernel=2))])
def test_it_is_of_its_class(settings: Any) -> None:
    """Same class name, instance of it, frozen; another process gets the plain settings."""
    found, _ = watched(settings)

    assert isinstance(found, type(settings))
    assert (type(found).__name__, type(found).__module__) == (
        type(settings).__name__,
        type(settings).__module__,
    )
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        found.steps = 1
    again = pickle.loads(pickle.dumps(found))  # noqa: S301 - our own bytes
    assert type(again) is type(settings)
    assert again == settings


def test_keys_know_what_was_chosen() -> None:
    """A default is that of the table's owner; what is for people is no key."""
    found = {name: chosen for name, _, chosen in keys(IdentityConfig())}
    assert found == {"pool.kind": False, "pool.kernel": False}
    assert {name: chosen for name, _, chosen in keys(IdentityConfig(pool=PoolConfig()))}["pool.kind"]
    assert [name for name, *_ in keys(ExperimentInfo(name="a", description="b"))] == ["name", "seed"]


def test_every_value_of_an_experiment_is_a_key(minimal: Path) -> None:
    """Those that the resolved file writes out, but for `use` and the description."""
    registry = load_registry()
    resolved = resolve(minimal, [], registry)
    filler = Filler(registry)
    filler.table(resolved.experiment)
    wanted = {".".join(map(str, path)) for path in filler.owners if path[-1] != "use"}

    found = {name for name, value, _ in keys(resolved.experiment) if value != {}}
    assert found == wanted - {"experiment.description"}
