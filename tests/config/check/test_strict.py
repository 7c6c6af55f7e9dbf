"""No coercion: the type that the class names, or a fault that says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.config.check.faults import InvalidError
from steermoe_core.config.check.strict import Strict
from steermoe_core.config.check.structurer import Structurer
from steermoe_core.config.types import type_of


@pytest.fixture
def strict() -> Strict:
    """Return a converter whose paths start at /base."""
    return Strict(lambda _: Path("/base"))


VALUES = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.lists(st.integers()),
    st.none(),
)


@given(value=VALUES, kind=st.sampled_from([bool, int, float, str]))
def test_a_value_is_taken_as_it_is_or_not_at_all(value, kind):
    """Only a whole number where a number is wanted changes its type."""
    try:
        result = Strict(lambda _: Path()).structure(value, type_of(kind))
    except InvalidError:
        assert type(value) is not kind
        assert (type(value), kind) != (int, float)
    else:
        assert type(result) is kind
        assert type(value) is kind or (type(value), kind) == (int, float)
        assert result == value


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("false", bool),
        (1, bool),
        (0, bool),
        (3.7, int),
        (3.0, int),
        (True, int),
        ("7", int),
        (True, float),
        ("1e-3", float),
        (float("nan"), float),
        (float("inf"), float),
        (5, str),
        (True, str),
        ("abc", list[str]),
        ({"a": 1}, list[str]),
        ([1], dict[str, int]),
        (True, Literal[0, 1]),
        (1.0, Literal[1]),
        ("b", Literal["a"]),
        (3, Path),
        ([1, 2, 3], tuple[int, int]),
        ([True], list[int]),
        ({"a": "x"}, dict[str, int]),
        ("x", int | bool),
        ([1], int | str),
    ],
)
def test_nothing_is_converted(strict, value, kind):
    """A value that could be converted is a fault."""
    with pytest.raises(InvalidError):
        strict.structure(value, type_of(kind))


@pytest.mark.parametrize(
    ("value", "kind", "result"),
    [
        (1, float, 1.0),
        ([1, 2], tuple[int, ...], (1, 2)),
        ([1, "a"], tuple[int, str], (1, "a")),
        ([], list[int], []),
        ({"a": 1}, Mapping[str, float], {"a": 1.0}),
        ([1], Sequence[int], [1]),
        (5, int | None, 5),
        (1, int | str, 1),
        ("x", int | str, "x"),
        ("a/b", Path, Path("/base/a/b")),
        ("/a", Path, Path("/a")),
        ([1, {"b": True}], Any, [1, {"b": True}]),
        (2, float | str, 2.0),
        ("auto", Literal["auto"] | int, "auto"),
        (3, Literal["auto"] | int, 3),
        ([1], list, [1]),
        ({"a": 1}, dict, {"a": 1}),
    ],
)
def test_what_fits_is_taken(strict, value, kind, result):
    """Lists, tuples, tables, optional values, unions, choices, paths."""
    assert strict.structure(value, type_of(kind)) == result


@attrs.frozen
class Circle:
    """One form of a union."""

    radius: float


@attrs.frozen
class Box:
    """The other form."""

    width: float
    height: float


def test_a_union_of_tables_takes_the_one_that_fits(registry):
    """The faults of the nearest form are told."""
    structurer = Structurer(registry, lambda _: Path())
    assert structurer.structure({"width": 1, "height": 2}, type_of(Circle | Box)) == Box(1.0, 2.0)
    with structurer.at("shape"), pytest.raises(InvalidError) as caught:
        structurer.structure({"width": 1, "hight": 2}, type_of(Circle | Box))
    assert [fault.path for fault in caught.value.faults] == [("shape", "hight")]


def test_all_faults_of_a_value_come_together(strict):
    """One wrong entry does not hide the next."""
    with strict.at("names"), pytest.raises(InvalidError) as caught:
        strict.structure(["a", 1, "b", False], type_of(list[str]))
    assert [fault.path for fault in caught.value.faults] == [("names", 1), ("names", 3)]
