"""`steermoe results RUN…`: one table over finished runs; runs that differ only in the seed are one row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from steermoe_core.cli.shared.scores import (
    add_choice,
    chosen,
    compared,
    difference,
    metrics_of,
    number,
    score,
)
from steermoe_core.cli.shared.table import Column, Table, add_formats, figures, print_tables, words

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator, Sequence

    from steermoe_core.cli.shared.scores import Rows
    from steermoe_core.cli.shared.session import Session


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders")
    parser.add_argument(
        "--against",
        action="extend",
        nargs="+",
        default=[],
        type=Path,
        metavar="RUN",
        help="compare every row with this run, clip by clip; more runs are its other seeds",
    )
    add_choice(parser)
    add_formats(parser)


def run(args: Namespace, session: Session) -> int:
    """Print the table."""
    from steermoe_core.run.console import Console
    from steermoe_core.study.seeds import scored_runs
    from steermoe_core.study.table import table

    runs, against = (scored_runs(paths, Console().note) for paths in (args.runs, args.against))
    rows = chosen(table(runs, session.registry, against), args)
    sentences = [*_base(rows), *_pathologies(rows)]
    print_tables([_table(rows)], args, session.console, facts=rows, sentences=sentences)
    return 0


def _table(rows: Rows) -> Table:
    """Return the table; on a terminal names, costs and training are one cell each."""
    title, names = "results: (95 % interval), [lowest–highest seed]", _columns(rows)
    cells = [list(_cells(row, rows)) for row in rows]
    first, *others = _stacked(names)
    stacked = Table(
        title=title,
        columns=[Column(first, least=12), *figures(*others)],
        rows=[line for row in cells for line in (_stacked(row), [])][:-1],
    )
    columns = [*words(*names[:3]), *figures(*names[3:])]
    return Table(title=title, columns=columns, rows=cells, on_terminal=stacked)


def _base(rows: Rows) -> Iterator[str]:
    """Yield what the differences are differences to."""
    base = rows[0]["against"] if rows else None  # the same for every row
    if base:
        yield f"differences are to {base['experiment']}, seed {', '.join(map(str, base['seeds']))}"


def _pathologies(rows: Rows) -> Iterator[str]:
    from steermoe_core.cli.shared.scores import pathologies_line

    for row in rows:
        if line := pathologies_line(row["pathologies"], row["clips"] * len(row["runs"])):
            yield f"{row['label']}, {row['split']}: {line}"


def _controls(rows: Rows, metric: str) -> list[str]:
    scores = (row["metrics"].get(metric, {}) for row in rows)
    return list(dict.fromkeys(name for score in scores for name in score.get("controls", {})))


def _columns(rows: Rows) -> list[str]:
    columns = ["experiment", "split", "seeds", "trained", "audio tokens/s", "s/step", "loss", "gate entropy"]
    for metric in metrics_of(rows):
        columns.append(metric.upper())
        if compared(rows, metric):
            columns.append(f"{metric.upper()}\ndifference")
        columns += [f"{control}\n{metric.upper()}" for control in _controls(rows, metric)]
    return columns


def _cells(row: dict[str, Any], rows: Rows) -> Iterator[str]:
    loss = row["loss"]
    yield row["label"]
    yield row["split"]
    yield ", ".join(map(str, row["seeds"]))
    yield f"{row['trainable_parameters']:,}"
    yield number(row["audio_tokens_per_second"], 1)
    yield number(row["seconds_per_step"])
    yield f"{number(loss['start'], 2)} → {number(loss['end'], 2)}"
    yield number(row["gate_entropy"], 2)
    for metric in metrics_of(rows):
        found = row["metrics"].get(metric)
        yield score(found, "\n")
        if compared(rows, metric):
            yield difference(found, "\n")
        for control in _controls(rows, metric):
            yield number((found or {}).get("controls", {}).get(control))


def _stacked(cells: Sequence[str]) -> list[str]:
    """Return the names, the costs and what training did as three cells, and each score as it is."""
    return ["\n".join(cells[:3]), "\n".join(cells[3:6]), "\n".join(cells[6:8]), *cells[8:]]
