"""What commands that print scores share: the flags that select them, and their text in a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Mapping, Sequence

    from steermoe_core.evaluate.scores import Interval, Score
    from steermoe_core.study.table import Row, RowScore


def add_choice(parser: ArgumentParser) -> None:
    """Declare `--split` and `--metric`."""
    parser.add_argument("--split", action="append", metavar="NAME", help="only this split (repeatable)")
    parser.add_argument(
        "--metric",
        action="append",
        metavar="NAME",
        help="show this metric (repeatable; default: the first of each experiment, in JSON all)",
    )


def chosen(rows: Sequence[Row], args: Namespace) -> list[Row]:
    """Return the rows and scores that the flags ask for.

    :raises UsageError: no run has such a split or metric.
    """
    import attrs

    from steermoe_core.errors import UsageError

    splits, metrics = list(dict.fromkeys(row.split for row in rows)), metrics_of(rows)
    firsts = dict.fromkeys(name for row in rows for name in list(row.metrics)[:1])
    for flag, values, known in (("split", args.split, splits), ("metric", args.metric, metrics)):
        if unknown := [name for name in values or [] if name not in known]:
            msg = f"no run has the {flag} {unknown[0]!r}; there are {', '.join(known) or 'none'}"
            raise UsageError(msg)
    shown = args.metric or (metrics if args.json else firsts)
    return [
        attrs.evolve(row, metrics={name: one for name, one in row.metrics.items() if name in shown})
        for row in rows
        if row.split in (args.split or splits)
    ]


def metrics_of(rows: Sequence[Row]) -> list[str]:
    """Return the names of all metrics of the rows."""
    return list(dict.fromkeys(metric for row in rows for metric in row.metrics))


def compared(rows: Sequence[Row], metric: str) -> bool:
    """Return whether a row has a difference in this metric."""
    return any(metric in row.metrics and row.metrics[metric].against for row in rows)


def score(found: RowScore | None, gap: str = " ") -> str:
    """Return a score, its interval in round brackets, and where there are several seeds, their extremes.

    :param gap: between words that may stand one under the other; a line break makes a narrow cell.
    """
    if found is None or found.value is None:
        return "–"
    text = number(found.value) + _interval(found.interval, gap)
    if found.lowest != found.highest:
        text += f"\n[{number(found.lowest)}–{number(found.highest)}]"
    return text


def difference(found: RowScore | None, gap: str = " ") -> str:
    """Return a score's difference to the baseline and the verdict on it.

    :param gap: as in `score`.
    """
    if found is None or found.against is None:
        return "–"
    against = found.against
    return f"{against.value:+.3f}{_interval(against.interval, gap, '+')}\n{against.verdict.replace(' ', gap)}"


def number(value: float | None, places: int = 3) -> str:
    """Return a figure, or a dash where there is none."""
    return "–" if value is None else f"{value:.{places}f}"


def _interval(interval: Interval | None, gap: str, sign: str = "") -> str:
    if interval is None:
        return ""
    return f"\n({interval.low:{sign}.3f} …{gap}{interval.high:{sign}.3f})"


def heading(metric: str) -> str:
    """Return the heading of a metric's column: its name, and the text rule, if any, on a second line."""
    from steermoe_core.evaluate.config import RuleName

    name, _, rule = metric.partition("-")
    return f"{name.upper()}\n{rule}" if rule in get_args(RuleName) else metric.upper()


def with_interval(score: Score | None) -> str:
    """Return a score's value, and its interval on a second line."""
    if score is None or score.interval is None:
        return plain(score)
    return f"{plain(score)}\n({score.interval.low:.3f}–{score.interval.high:.3f})"


def plain(score: Score | None) -> str:
    """Return a score's value; a dash where there is none."""
    return "–" if score is None or score.value is None else f"{score.value:.3f}"


def pathologies_line(counts: Mapping[str, int], of: int) -> str | None:
    """Return a sentence that counts answers by pathology; None if there are none.

    :param of: the number of all answers.
    """
    found = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    if not found:
        return None
    return f"{found} among {of} answers (`steermoe evaluate RUN --from-predictions --pathologies` shows them)"
