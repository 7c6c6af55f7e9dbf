"""What is said about settings is read from the classes themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import attrs
import pytest
from attrs.validators import and_, deep_iterable, ge, in_, le, matches_re, max_len, min_len, optional

from steermoe_core.component import Selection, choose
from steermoe_core.config.describe.documentation import settings
from steermoe_core.config.experiment import Experiment
from steermoe_core.config.fields import parameters, plain, summary


def _even(_instance: object, _field: object, value: int) -> None:
    """Be even."""


@attrs.frozen(kw_only=True)
class Inner:
    """Inside.

    :param path: where.
    """

    path: Path = Path("a/b")


@attrs.frozen(kw_only=True)
class Base:
    """Below.

    :param shared: told by the base.
    """

    shared: bool = True


@attrs.frozen(kw_only=True)
class Outer(Base):
    """Say what it is.

    In two paragraphs.

    :param count: how many; the
        line goes on: here.
    :param mode: which way.

    :param inner: a table.
    """

    count: int = attrs.field(default=2, validator=[ge(0), le(9), _even])
    mode: Literal["a", "b"] | None = None
    inner: Inner = attrs.field(factory=Inner)
    several: list[Inner] = attrs.field(factory=list)
    part: Selection = choose("router")


def test_summary_is_all_before_the_parameters() -> None:
    """Paragraphs are kept."""
    assert summary(Outer) == "Say what it is.\n\nIn two paragraphs."


def test_parameters_over_lines_and_bases() -> None:
    """Continued lines are joined; a base class tells about its own keys."""
    assert parameters(Outer) == {
        "shared": "told by the base.",
        "count": "how many; the line goes on: here.",
        "mode": "which way.",
        "inner": "a table.",
    }


def test_settings() -> None:
    """Keys in their order, tables followed by their own keys."""
    found = {one.key: one for one in settings(Outer)}

    assert list(found) == [
        "shared",
        "count",
        "mode",
        "inner",
        "inner.path",
        "several",
        "several.path",
        "part",
    ]
    assert found["count"].limits == (">= 0", "<= 9", "Be even")
    assert found["mode"].choices == ("a", "b")
    assert found["inner"].default == {"path": "a/b"}
    assert found["part"].required
    assert found["part"].kind == "router"


@pytest.mark.parametrize(
    ("validator", "limit"),
    [
        (optional(ge(1)), ">= 1"),
        (and_(ge(1)), ">= 1"),
        (deep_iterable(in_(["x", "y"])), "one of x, y"),
        (matches_re("a|b"), "looks like a|b"),
        (min_len(2), "at least 2 entries"),
        (max_len(3), "at most 3 entries"),
    ],
)
def test_limits(validator: object, limit: str) -> None:
    """Every validator of attrs that settings use is told in words."""
    cls = attrs.make_class("Made", {"key": attrs.field(default=None, validator=validator)})

    assert settings(cls)[0].limits == (limit,)


def test_plain_defaults() -> None:
    """Defaults are shown as TOML would hold them."""
    assert plain([Inner(), Path("c")]) == [{"path": "a/b"}, "c"]


def test_every_key_of_an_experiment_is_documented() -> None:
    """The engine's own tables leave no key unexplained."""
    assert [one.key for one in settings(Experiment) if not one.doc] == []
