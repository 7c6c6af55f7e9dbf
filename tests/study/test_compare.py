"""A comparison says what differs, what may be concluded, and what was not controlled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from steermoe_core.errors import UsageError
from steermoe_core.plugins import load_registry
from steermoe_core.study.compare import Comparison, compare, one_seed, sentences
from steermoe_core.study.table import table
from tests.run.copies import change, copied, say

if TYPE_CHECKING:
    from pathlib import Path

WRONG = ("one", "two", "three", "four")  # of the texts zero, one, two, three


@pytest.fixture
def pair(scored: Path) -> list[Path]:
    """Return a run whose every word is wrong and one of another name whose every word is right."""
    other = copied(scored, "other", experiment__name="other", adapter__experts=2)
    say(scored, *WRONG)
    say(other, "zero", "one", "two", "three")
    return [scored, other]


def compared(*paths: Path) -> Comparison:
    """Compare with what is installed."""
    return compare(paths, load_registry())


def test_only_what_differs_is_listed(pair: list[Path]) -> None:
    """Dotted keys with a value a run; the name stands above, seeds are merged."""
    change(pair[1] / "lock.json", "packages", "torch", value="1.0")
    twin = copied(pair[1], "twin", experiment__seed=18)

    found = compared(*pair, twin)

    assert found.labels == ["tiny", "other"]
    assert found.settings == {"adapter.experts": [3, 2]}
    (key, (here, there)), *_ = found.surroundings.items()
    assert (key, there) == ("packages.torch", ["1.0"])
    assert here != there
    assert [group.seeds for group in found.groups] == [[17], [17, 18]]
    assert found.warnings == []


def test_differences_are_those_of_results(pair: list[Path]) -> None:
    """`results --against` and `results --differences` share their figures."""
    rows = compared(*pair).rows

    assert [(row.label, row.split) for row in rows] == [
        ("tiny", "dev"), ("other", "dev"), ("tiny", "other"), ("other", "other"),
    ]  # fmt: skip
    assert rows[0].metrics["wer"].against is None
    (other, *_), base = table([pair[1]], load_registry(), [pair[0]])
    assert base is not None
    assert (base.name, base.seeds, base.paths) == ("tiny", [17], [str(pair[0])])
    assert rows[1] == other
    assert compare([pair[1]], load_registry(), [pair[0]]).rows == rows
    against = other.metrics["wer"].against
    assert against is not None
    assert against.value == -1.0


@pytest.mark.parametrize(
    ("said", "start", "figures"),
    [
        (("zero", "one", "two", "three"), "other is better than tiny on 4 clips of dev", "-1.000"),
        (WRONG, "other and tiny are not distinguishable on 4 clips of dev", "+0.000"),
        (("a a", "b b", "c c", "d d"), "other is worse than tiny on 4 clips of dev", "+1.000"),
    ],
)
def test_a_sentence_says_what_may_be_said(
    pair: list[Path], said: list[str], start: str, figures: str
) -> None:
    """No word of better where the interval of the difference holds 0."""
    say(pair[1], *said)

    text, *_ = sentences(compared(*pair).rows, "tiny")

    odds = {"-": "1.00", "+": "0.00"}[figures[0]] if figures != "+0.000" else "0.50"
    assert text == (
        f"{start} (WER difference {figures}, 95 % interval {figures} … {figures}, "
        f"probability of improvement {odds})"
    )


def test_one_clip_has_no_interval(pair: list[Path]) -> None:
    """The difference stands bare, and nothing is concluded from it."""
    for run in pair:
        path = run / "evaluations" / "dev" / "predictions.jsonl"
        path.write_text(path.read_text().splitlines(keepends=True)[0])

    text, *_ = sentences(compared(*pair).rows, "tiny")

    assert text.startswith("other and tiny are not distinguishable")
    assert text.endswith("too few independent clips for an interval)")


@pytest.mark.parametrize(
    ("settings", "warning"),
    [
        (
            {"projector__pool": {"kernel": 4}},
            "pooling differs: projector.pool.kernel is 2 in tiny, 4 in other",
        ),
        ({"train__steps": 9}, "the number of steps differs: train.steps is 6 in tiny, 9 in other"),
        ({"train__precision": "bf16"}, "precision differs: train.precision is fp32 in tiny, bf16 in other"),
        (
            {"train__batch_size": 1},
            "the number of clips a step differs: train.batch_size is 3 in tiny, 1 in other",
        ),
        (
            {"data__min_seconds": 0.2},
            "the training data differs: data.min_seconds is 0.1 in tiny, 0.2 in other",
        ),
        (
            {"metrics": [{"use": "wer", "normalise": "raw"}, {"use": "cer"}]},
            "the scoring differs: metrics.0.normalise",
        ),
    ],
)
def test_what_was_not_controlled_is_a_warning(scored: Path, settings: dict, warning: str) -> None:
    """Pooling, steps, precision, data, scoring: a difference in them is no merit of what was varied."""
    (found, *_) = compared(scored, copied(scored, "other", experiment__name="other", **settings)).warnings

    assert found.startswith(warning)


def test_what_the_runs_noted_is_compared_too(pair: list[Path]) -> None:
    """Other weights under the same name, other clips in the same folder, clips left out, a lost lock."""
    change(pair[1] / "lock.json", "frozen", "encoder", value="f" * 64)
    change(pair[1] / "lock.json", "data", "train", "sha256", value="e" * 64)
    change(pair[1] / "evaluations" / "dev" / "scores.json", "data", "sha256", value="d" * 64)
    change(pair[1] / "evaluations" / "other" / "scores.json", "left_out", value={"unreadable": ["x"]})

    encoder, data, split, left = compared(*pair).warnings

    assert encoder.startswith("the frozen encoder differs: frozen.encoder is ")
    assert encoder.endswith(", ffffffffffff in other")
    assert data.startswith("the training data differs: data.train.sha256 is ")
    assert split == "dev is not the same data in all runs"
    assert left == "clips of other were left out: 0 in tiny, 1 in other"

    (pair[1] / "lock.json").unlink()
    assert compared(*pair).warnings[0].startswith("no lock.json of other")


def test_a_split_that_cannot_be_compared_does_not_hide_the_others(pair: list[Path]) -> None:
    """It is reported with its reason."""
    path = pair[1] / "evaluations" / "dev" / "predictions.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))

    found = compared(*pair)

    (warning,) = found.warnings
    assert warning.startswith("other is not compared with tiny on dev: 1 examples are in one run only")
    assert [row.split for row in found.rows] == ["dev", "other", "other"]


def test_names(pair: list[Path]) -> None:
    """Two experiments of one name go by what differs; runs of one experiment are not compared."""
    third = copied(pair[1], "third", adapter__experts=4)
    assert compared(pair[1], third, pair[0]).labels == ["other, experts 2", "other, experts 4", "tiny"]
    with pytest.raises(UsageError, match="differ only in the seed"):
        compared(pair[0], copied(pair[0], "twin", experiment__seed=18))


def test_one_seed_is_reported(pair: list[Path]) -> None:
    """No interval knows about other seeds."""
    twins = [copied(run, f"{run.name}-18", experiment__seed=18) for run in pair]

    assert str(one_seed(compared(*pair))).startswith("one seed of tiny and other: ")
    assert str(one_seed(compared(*pair, twins[0]))).startswith("one seed of other: ")
    assert one_seed(compared(*pair, *twins)) is None
