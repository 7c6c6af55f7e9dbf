"""`steermoe results RUN…`: one table over finished runs; runs that differ only in the seed are one row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator, Sequence

    from steermoe_core.cli.session import Session

    Rows = list[dict[str, Any]]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders")
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        type=Path,
        metavar="RUN",
        help="compare every row with this run, clip by clip (repeatable for its other seeds)",
    )
    parser.add_argument("--split", action="append", metavar="NAME", help="only this split (repeatable)")
    parser.add_argument(
        "--metric",
        action="append",
        metavar="NAME",
        help="show this metric (repeatable; by default each experiment's first, in JSON all)",
    )
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")


def run(args: Namespace, session: Session) -> int:
    """Print the table."""
    from steermoe_core.run.table import table

    rows = _chosen(table(args.runs, session.registry, args.against), args)
    if args.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return 0
    columns, lines = _columns(rows), [list(_cells(row, rows)) for row in rows]
    if args.markdown:
        for line in (columns, ["---"] * len(columns), *lines):
            print("| " + " | ".join(cell.replace("\n", " ") for cell in line) + " |")
        return 0
    session.console.print(_rich(columns, lines))
    for sentence in _pathologies(rows):
        session.console.print(sentence, soft_wrap=True)
    return 0


def _chosen(rows: Rows, args: Namespace) -> Rows:
    """Return the rows and scores that the flags ask for.

    :raises UsageError: no run has such a split or metric.
    """
    from steermoe_core.errors import UsageError

    splits, metrics = list(dict.fromkeys(row["split"] for row in rows)), _metrics(rows)
    usual = metrics if args.json else list(dict.fromkeys(next(iter(row["metrics"])) for row in rows))
    for flag, wanted, known in (("split", args.split, splits), ("metric", args.metric, metrics)):
        if unknown := [name for name in wanted or [] if name not in known]:
            msg = f"no run has the {flag} {unknown[0]!r}; there are {', '.join(known)}"
            raise UsageError(msg)
    kept = [row for row in rows if row["split"] in (args.split or splits)]
    chosen = args.metric or usual
    return [{**row, "metrics": {m: s for m, s in row["metrics"].items() if m in chosen}} for row in kept]


def _pathologies(rows: Rows) -> Iterator[str]:
    from steermoe_core.run.cells import pathologies_line

    for row in rows:
        if line := pathologies_line(row["pathologies"], row["clips"] * len(row["runs"])):
            yield f"{row['experiment']}, {row['split']}: {line}"


def _metrics(rows: Rows) -> list[str]:
    return list(dict.fromkeys(metric for row in rows for metric in row["metrics"]))


def _controls(rows: Rows, metric: str) -> list[str]:
    scores = (row["metrics"].get(metric, {}) for row in rows)
    return list(dict.fromkeys(name for score in scores for name in score.get("controls", {})))


def _columns(rows: Rows) -> list[str]:
    columns = ["experiment", "split", "seeds", "trained", "audio tokens/s", "s/step", "loss", "gate entropy"]
    for metric in _metrics(rows):
        columns.append(metric.upper())
        if _compared(rows, metric):
            columns.append(f"{metric.upper()}\ndifference")
        columns += [f"{control}\n{metric.upper()}" for control in _controls(rows, metric)]
    return columns


def _cells(row: dict[str, Any], rows: Rows) -> Iterator[str]:
    loss = row["loss"]
    yield row["experiment"]
    yield row["split"]
    yield ", ".join(map(str, row["seeds"]))
    yield f"{row['trainable_parameters']:,}"
    yield _number(row["audio_tokens_per_second"], 1)
    yield _number(row["seconds_per_step"])
    yield f"{_number(loss['start'], 2)} → {_number(loss['end'], 2)}"
    yield _number(row["gate_entropy"], 2)
    for metric in _metrics(rows):
        score = row["metrics"].get(metric)
        yield _score(score)
        if _compared(rows, metric):
            yield _difference(score)
        for control in _controls(rows, metric):
            yield _number((score or {}).get("controls", {}).get(control))


def _compared(rows: Rows, metric: str) -> bool:
    return any("against" in row["metrics"].get(metric, {}) for row in rows)


def _score(score: dict[str, Any] | None) -> str:
    """Return a score, its interval in round brackets, and where there are several seeds, their extremes."""
    if score is None or score["value"] is None:
        return "–"
    text = _number(score["value"]) + _interval(score["interval"])
    if score["lowest"] != score["highest"]:
        text += f"\n[{_number(score['lowest'])}–{_number(score['highest'])}]"
    return text


def _difference(score: dict[str, Any] | None) -> str:
    against = (score or {}).get("against")
    if against is None:
        return "–"
    verdict = against["verdict"].replace(" ", "\n")
    return f"{against['value']:+.3f}{_interval(against['interval'], '+')}\n{verdict}"


def _interval(found: dict[str, float] | None, sign: str = "") -> str:
    if found is None:
        return ""
    return f"\n({found['low']:{sign}.3f} …\n{found['high']:{sign}.3f})"


def _number(value: float | None, places: int = 3) -> str:
    return "–" if value is None else f"{value:.{places}f}"


def _rich(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> Any:
    """Return the table for a terminal: names one under the other, and no figure is cut."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    title = Text("results: (95 % interval), [lowest–highest seed]")
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    names, *others = _stacked(columns)
    table.add_column(names, overflow="fold", min_width=12)
    for column in others:
        table.add_column(column, no_wrap=True, justify="right")
    for line in lines:
        table.add_row(*map(Text, _stacked(line)), end_section=True)
    return table


def _stacked(cells: Sequence[str]) -> list[str]:
    """Return the names, the costs and what training did as three cells, and each score as it is."""
    return ["\n".join(cells[:3]), "\n".join(cells[3:6]), "\n".join(cells[6:8]), *cells[8:]]
