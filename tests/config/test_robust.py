"""Whatever is in a file, a flag or the environment: an experiment, or where it is wrong. Never a crash."""

from __future__ import annotations

import copy
import datetime as dt

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steermoe_core.cli.main import main
from steermoe_core.config.resolve import resolve
from steermoe_core.config.text.write import dumps
from steermoe_core.errors import ConfigError, PluginError
from steermoe_core.plugins import load_registry
from tests.config.cases import Case, case
from tests.config.corpus import corpus
from tests.config.damages import DAMAGES, NUMBERS, STRANGE
from tests.config.judge import verdict
from tests.config.mutate import tally

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


@pytest.mark.parametrize("part", range(4))
def test_damaged_experiments_are_refused_with_a_place_or_are_what_they_say(part, tmp_path):
    """A piece of what `python -m tests.config.mutate` runs at any size."""
    found = tally(1, range(part * 100, part * 100 + 100), tmp_path / "case", load_registry())
    assert not found.failures
    assert found.outcomes["refused"] > found.outcomes["resolved"] > 0


def test_each_kind_of_damage_is_done_and_the_same_again():
    """Within the cases above; a case is the same in every process."""
    cases = [case(1, number) for number in range(400)]
    assert {damage.__name__ for damage in DAMAGES} | {"flag"} == {
        name for one in cases for name in one.damages
    }
    assert cases == [case(1, number) for number in range(400)]


@pytest.mark.parametrize("number", range(len(corpus())))
def test_undamaged_experiments_resolve(number, tmp_path):
    """Else the damage would not be what is refused."""
    pytest.importorskip("steermoe_pocket")
    files = {name: text.encode() for name, text in corpus()[number].items()}
    outcome = verdict(Case(files, [], []), tmp_path / "case", load_registry())
    assert outcome == ("resolved", "")


@pytest.mark.parametrize("name", ["STEERMOE_BLOCK", "STEERMOE_CACHE"])
@pytest.mark.parametrize(
    "value",
    [*(one for one in STRANGE if one != "\x00"), *NUMBERS[:6], ",,", "~nosuchuser/x", "\udcff", "/dev/null"],
)
def test_the_environment_breaks_no_check(name, value, minimal, monkeypatch, capsys, tmp_path):
    """A check says what it would say without: that the encoder is not a real one."""
    monkeypatch.chdir(tmp_path)  # a cache folder may be a relative path
    monkeypatch.setenv(name, value)
    assert main(["check", str(minimal), "--set", "encoder.use=nothing"]) == 3
    assert "Traceback" not in capsys.readouterr().err


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


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    key=st.lists(st.one_of(NAMES, st.sampled_from(["train", "steps", "metrics", "data", "1"])), max_size=4),
    value=VALUES,
)
def test_any_flag_is_taken_or_refused(key, value, minimal, registry):
    """Odd keys and odd values alike."""
    text = dumps({"v": value}).strip().removeprefix("v = ") if not isinstance(value, dict) else "{ a = 1 }"
    for flag in (f"{'.'.join(key)}={text}", f"{'.'.join(key)}{text}"):
        assert {problem.file for problem in problems(minimal, [flag], registry)} <= {"--set", str(minimal)}
