"""Whatever stands in a file: an experiment, or problems that point into the text. Never a crash."""

from __future__ import annotations

import copy
import datetime as dt

import pytest
import tomli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steermoe_core.config.resolve import resolve
from steermoe_core.config.toml import dumps
from steermoe_core.errors import ConfigError, PluginError

NAMES = st.one_of(
    st.sampled_from(
        ["use", "train", "eval", "pool", "extends", "metrics", "a b", "", "学", "router", "0", "linear"]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=4),
)
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-3, 10**20),
    st.floats(),
    NAMES,
    st.just(dt.date(2024, 5, 1)),
    st.just(dt.time(1, 2)),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)


def places(value, path=()):
    """Yield the path of every table and list."""
    if isinstance(value, (dict, list)):
        yield path
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))


def problems(path, flags, registry):
    """Return what is wrong; nothing, if the file resolves."""
    try:
        resolve(path, flags, registry)
    except (ConfigError, PluginError) as error:
        found = error.problems
    else:
        return []
    assert found
    return found


@st.composite
def spoilt(draw, table):
    """Change, add or drop some values anywhere in a table."""
    table = copy.deepcopy(table)
    for _ in range(draw(st.integers(1, 4))):
        holder = table
        for part in draw(st.sampled_from(sorted(places(table), key=str))):
            holder = holder[part]
        if isinstance(holder, list):
            holder.append(draw(VALUES))
            continue
        key = draw(st.one_of(NAMES, st.sampled_from(sorted(holder)))) if holder else draw(NAMES)
        if draw(st.booleans()):
            holder[key] = draw(VALUES)
        else:
            holder.pop(key, None)
    return table


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_file_resolves_or_says_where_it_is_wrong(data, minimal, registry, tmp_path):
    """Every problem shows a line of the file and underlines a part of it."""
    table = data.draw(spoilt(resolve(minimal, ["adapter.use=steering"], registry).table))
    path = tmp_path / "spoilt.toml"
    path.write_text(dumps(table), encoding="utf-8")
    lines = path.read_text(encoding="utf-8").split("\n")
    for problem in problems(path, [], registry):
        assert str(problem)
        if problem.line is not None:
            assert problem.source == lines[problem.line - 1]
            assert 1 <= problem.column <= len(problem.source)
            assert problem.column - 1 + problem.width <= len(problem.source)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    key=st.lists(st.one_of(NAMES, st.sampled_from(["train", "steps", "metrics", "data", "1"])), max_size=4),
    value=VALUES,
)
def test_any_flag_is_taken_or_refused(key, value, minimal, registry):
    """Odd keys and odd values alike."""
    text = dumps({"v": value}).strip().removeprefix("v = ") if not isinstance(value, dict) else "{ a = 1 }"
    for flag in (f"{'.'.join(key)}={text}", f"{'.'.join(key)}{text}"):
        assert {problem.file for problem in problems(minimal, [flag], registry)} <= {"--set", str(minimal)}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_cut_or_stray_character_is_a_located_syntax_error(data, minimal, registry, tmp_path):
    """Files that tomli refuses give one problem inside the file."""
    text = minimal.read_text()
    at = data.draw(st.integers(0, len(text)))
    stray = data.draw(st.text(st.sampled_from("[]{}=\"'#,.\n\r\tx1 学\x00"), max_size=3))
    text = text[:at] + stray + text[at + data.draw(st.integers(0, 3)) :]
    path = tmp_path / "cut.toml"
    path.write_bytes(text.encode())
    try:
        tomli.loads(text)
    except tomli.TOMLDecodeError:
        with pytest.raises(ConfigError) as caught:
            resolve(path, [], registry)
        (problem,) = caught.value.problems
        assert problem.code == "E003"
        assert 1 <= problem.line <= text.count("\n") + 1
        assert str(problem)
