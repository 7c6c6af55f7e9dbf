"""Numbers that no run can mean: infinite, not a number, or far too large."""

from __future__ import annotations

import math
from pathlib import Path

import attrs
import pytest

from steermoe_core.config.check.faults import InvalidError
from steermoe_core.config.check.structurer import Structurer
from steermoe_core.config.experiment import Experiment
from steermoe_core.config.fields import fields_of, tables
from steermoe_core.config.resolve import resolve
from steermoe_core.config.types import type_of
from steermoe_core.errors import ConfigError
from steermoe_core.plugins import load_registry

REGISTRY = load_registry()
CLASSES = {cls.__name__: cls for cls in tables(Experiment).values()} | {
    f"{kind} {part.name}": inner
    for plugin in REGISTRY.plugins
    for kind, part in plugin.components
    for inner in tables(part.config_class()).values()
}
#: How each type is written with one number in it.
FLOATS = {
    type_of(float): lambda value: value,
    type_of(list[float]): lambda value: [1.0, value],
    type_of(dict[str, float]): lambda value: {"dev": value},
}
NUMBERS = [
    (cls, key) for cls in CLASSES.values() for key, field in fields_of(cls).items() if field.type in FLOATS
]


@pytest.mark.parametrize(("cls", "key"), NUMBERS, ids=lambda value: getattr(value, "__name__", value))
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_no_number_of_any_component_is_infinite(cls, key, value):
    """Nor not a number; those of plugins included, whatever their own limits are."""
    written = FLOATS[fields_of(cls)[key].type](value)
    structurer = Structurer(REGISTRY, lambda _: Path())
    with pytest.raises(InvalidError) as caught:
        structurer.settings({key: written}, cls)
    assert f"must be a finite number, is {value}" in "".join(fault.message for fault in caught.value.faults)


@pytest.mark.parametrize("value", ["1e30", "11", "1" + "0" * 18, "inf", "-1e-9", "1e999"])
def test_a_learning_rate_is_at_most_ten(value, minimal, registry):
    """The limit is in the reference; the problem points at the value."""
    minimal.write_text(minimal.read_text() + f"learning_rate.projector = {value}\n")
    with pytest.raises(ConfigError) as caught:
        resolve(minimal, [], registry)
    (problem,) = caught.value.problems
    assert (problem.code, problem.line, problem.column) == ("E301", 17, len("learning_rate.projector = ") + 1)


@pytest.mark.parametrize(
    "setting",
    [
        "train.steps=1000000000000", "train.threads=1000000", "train.workers=100000",
        "train.batch_size=1000000000", "train.weight_decay=1e30", "data.max_seconds=1e30",
        "evaluate.max_new_tokens=1000000000", "evaluate.tokens_per_second=1e9", "data.weights=[inf]",
        "data.max_bad=nan",
    ],
)  # fmt: skip
def test_what_no_machine_can_do_is_refused(setting, minimal, registry):
    """One problem with the code for limits."""
    with pytest.raises(ConfigError) as caught:
        resolve(minimal, [setting], registry)
    assert [problem.code for problem in caught.value.problems] == ["E301"]


def test_a_whole_number_that_no_float_has_is_no_number(minimal, registry):
    """2⁵³ + 1 would become another number."""
    with pytest.raises(ConfigError, match="clip must be a number"):
        resolve(minimal, [f"train.clip={2**53 + 1}"], registry)
    assert resolve(minimal, [f"train.clip={2**53}"], registry).table["train"]["clip"] == 2.0**53


@attrs.define
class Free:
    """Settings of any type."""

    options: object = None


@pytest.mark.parametrize("value", [math.inf, [1, [math.nan]], {"a": {"b": -math.inf}}])
def test_numbers_in_free_settings_are_finite_too(value):
    """However deep."""
    with pytest.raises(InvalidError, match="must be a finite number"):
        Structurer(REGISTRY, lambda _: Path()).settings({"options": value}, Free)


@pytest.mark.parametrize(
    ("path", "message"),
    [("a\\u0000b", "contains a NUL character"), ("~nosuchuser/a", "an unknown user")],
)
@pytest.mark.parametrize("key", ["data.train.path", "adapter"])
def test_a_path_that_no_system_has_is_refused(key, path, message, minimal, registry):
    """When the file is checked, not when the run asks for the file."""
    value = f"./{path}" if key == "adapter" and not path.startswith("~") else path
    with pytest.raises(ConfigError) as caught:
        resolve(minimal, [f'{key}="{value}"'], registry)
    assert [problem.code for problem in caught.value.problems] == ["E301"]
    assert message in caught.value.problems[0].message
