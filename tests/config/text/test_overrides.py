"""`--set KEY=VALUE`: what the value means, and where the key leads."""

from __future__ import annotations

import pytest

from steermoe_core.config.resolve import resolve
from steermoe_core.errors import ConfigError


def value_of(flags, path, minimal, registry):
    """Return the resolved value after some flags."""
    value = resolve(minimal, flags, registry).table
    for part in path:
        value = value[part]
    return value


@pytest.mark.parametrize(
    ("flag", "path", "value"),
    [
        ("train.steps=7", ("train", "steps"), 7),
        ("train.steps = 7 ", ("train", "steps"), 7),
        ("encoder.trim=false", ("encoder", "trim"), False),
        ("encoder.weights=openai/whisper-tiny", ("encoder", "weights"), "openai/whisper-tiny"),
        ("encoder.weights=two words, a=b # c", ("encoder", "weights"), "two words, a=b # c"),
        ('encoder.weights="7"', ("encoder", "weights"), "7"),
        ("encoder.weights=''", ("encoder", "weights"), ""),
        ("projector.widths=[1, 2]", ("projector", "widths"), [1, 2]),
        ("projector.pool={kernel=9}", ("projector", "pool"), {"kind": "avg", "kernel": 9}),
        ("train.learning_rate.projector=1", ("train", "learning_rate", "projector"), 1.0),
        ("projector.extra.kernel=3", ("projector", "extra", "kernel"), 3),
        ('data.eval."a.b".use=folder', ("data", "eval", "dev", "use"), "folder"),
    ],
)
def test_values_are_toml_and_other_words_are_text(flag, path, value, minimal, registry):
    """Spaces around count for nothing; tables begin where there is none."""
    flags = [flag, 'data.eval."a.b".path=x'] if "a.b" in flag else [flag]
    assert value_of(flags, path, minimal, registry) == value


def test_a_number_picks_from_a_list(minimal, registry):
    """Also from a list of one that is written as a table; the next number adds."""
    flags = ["metrics.0.use=cer", "metrics.1.use=wer", "metrics.1.mode=chars", "data.train.0.split=dev"]
    table = resolve(minimal, flags, registry).table
    assert [metric["use"] for metric in table["metrics"]] == ["cer", "wer"]
    assert table["metrics"][1]["mode"] == "chars"
    assert table["data"]["train"][0]["split"] == "dev"


@pytest.mark.parametrize(
    ("flags", "lost", "other"),
    [
        (["train.steps=7", "train.steps=8"], "train.steps=7", "train.steps=8"),
        (["train.steps=8", "train.steps=8"], "train.steps=8", "train.steps=8"),
        (["adapter.use=steering", "adapter.experts=2", 'adapter={use="none"}'], None, 'adapter={use="none"}'),
        (
            ["projector.pool={kernel=9}", "projector.pool.kernel=8"],
            "projector.pool={kernel=9}",
            "projector.pool.kernel=8",
        ),
    ],
)
def test_a_flag_that_another_one_replaces_is_a_problem(flags, lost, other, minimal, registry):
    """It changes nothing; the problem is at the flag and names the other."""
    with pytest.raises(ConfigError) as caught:
        resolve(minimal, flags, registry)
    problems = caught.value.problems
    assert {(problem.code, problem.file) for problem in problems} == {("E008", "--set")}
    assert all(f"changes nothing: --set {other} replaces it" in problem.message for problem in problems)
    assert [problem.source for problem in problems] == [
        f"--set {flag}" for flag in ([lost] if lost else flags[:2])
    ]


@pytest.mark.parametrize(
    "flags",
    [
        ["train.steps=10"],
        ["projector.pool={}", "projector={pool={}}", "projector.pool.kernel=8"],
        ["train.clip={projector=1}", "train.learning_rate.projector=1"],
        ["adapter.experts=2", "adapter.use=steering"],
        ["metrics.0.use=cer", "metrics.1.use=wer"],
    ],
)
def test_flags_that_repeat_or_complete_are_none(flags, minimal, registry):
    """The value of the file again, and flags of which something is left."""
    resolve(minimal, flags, registry)


def test_flags_that_choose_a_component_act_first(minimal, registry):
    """The order of flags does not matter, and the old component's settings go."""
    flags = ["adapter.router.k=4", "adapter.router.use=topk", "adapter.use=steering"]
    assert value_of(flags, ("adapter", "router"), minimal, registry) == {"use": "topk", "k": 4}
    with pytest.raises(ConfigError, match='unknown key "experts"'):
        resolve(minimal, ["adapter.use=none", "adapter.experts=2"], registry)


@pytest.mark.parametrize(
    "flag", ["", "=", "a", "[a]=1", "a..b=1", "a b=1", "#=1", "a\n=1", 'train.steps="', "a={", "a="]
)
def test_a_flag_that_makes_no_sense_is_a_problem_not_a_crash(flag, minimal, registry):
    """Each is E006 and points at the flag."""
    with pytest.raises(ConfigError) as caught:
        resolve(minimal, [flag], registry)
    assert [(problem.code, problem.file) for problem in caught.value.problems] == [("E006", "--set")]


def test_extends_cannot_be_set(minimal, registry):
    """It belongs to a file; accepted and ignored would be worse."""
    with pytest.raises(ConfigError, match='unknown key "extends"'):
        resolve(minimal, ["extends=other.toml"], registry)
