"""`steermoe results RUN…`: one table over finished runs, and with `--differences` what differs between them.

Runs that differ only in the seed are one row.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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

    from steermoe_core.cli.shared.session import Session
    from steermoe_core.study.compare import Comparison
    from steermoe_core.study.table import Row


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
    parser.add_argument(
        "--differences",
        action="store_true",
        help="print what differs in settings, packages, weights and data, and compare clip by clip "
        "(with the first run, unless --against names another)",
    )
    add_choice(parser)
    add_formats(parser)


def run(args: Namespace, session: Session) -> int:
    """Print the table."""
    from steermoe_core.run.console import Console
    from steermoe_core.study.seeds import scored_runs
    from steermoe_core.study.table import table

    runs, against = (scored_runs(paths, Console().note) for paths in (args.runs, args.against))
    if args.differences:
        return _differences(runs, against, args, session)
    rows, base = table(runs, session.registry, against)
    rows = chosen(rows, args)
    baseline = base and {"experiment": base.name, "seeds": base.seeds, "runs": base.paths}
    facts = [{"label": row.label, **row.to_json(), "against": baseline} for row in rows]
    notes = list(_pathologies(rows))
    if base is not None:
        notes.insert(0, f"differences are to {base.name}, seed {', '.join(map(str, base.seeds))}")
    print_tables([_table(rows)], args, session.console, facts=facts, sentences=notes)
    return 0


def _differences(runs: Sequence[Path], against: Sequence[Path], args: Namespace, session: Session) -> int:
    """Print what differs, the table, and what the differences support."""
    import attrs

    from steermoe_core.study.compare import compare, one_seed, sentences

    found = compare(runs, session.registry, against)
    rows = chosen(found.rows, args)
    verdicts, note = list(sentences(rows, found.labels[0])), one_seed(found)
    notes = [note] if note else []
    facts = {
        **attrs.asdict(attrs.evolve(found, rows=[])),
        "rows": [{"label": row.label, **row.to_json()} for row in rows],
        "sentences": verdicts,
        "notes": notes,
    }
    warnings = [f"warning: {warning}" for warning in found.warnings]
    print_tables(
        [*_what_differs(found), _table(rows)],
        args,
        session.console,
        facts=facts,
        sentences=[*warnings, *verdicts, *notes, *_pathologies(rows)],
    )
    return 0


def _what_differs(found: Comparison) -> Iterator[Table]:
    """Yield the tables of settings and of packages, weights and data, with a column for each group."""
    from steermoe_core.study.names import shown

    settings = {
        "seeds": [", ".join(map(str, group.seeds)) for group in found.groups],
        "trained": [f"{group.trainable_parameters:,}" for group in found.groups],
        **{key: [shown(value) for value in values] for key, values in found.settings.items()},
    }
    surroundings = {
        key: [", ".join(map(shown, some)) for some in values] for key, values in found.surroundings.items()
    }
    for title, values in (
        ("settings that differ", settings),
        ("packages, weights and data that differ", surroundings),
    ):
        if values:
            rows = [[key, *cells] for key, cells in values.items()]
            yield Table(title=title, columns=words("", *found.labels), rows=rows)


def _pathologies(rows: Sequence[Row]) -> Iterator[str]:
    from steermoe_core.cli.shared.scores import pathologies_line

    for row in rows:
        if line := pathologies_line(row.pathologies, row.clips * len(row.runs)):
            yield f"{row.label}, {row.split}: {line}"


def _table(rows: Sequence[Row]) -> Table:
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


def _columns(rows: Sequence[Row]) -> list[str]:
    columns = ["experiment", "split", "seeds", "trained", "audio tokens/s", "s/step", "loss", "gate entropy"]
    for metric in metrics_of(rows):
        columns.append(metric.upper())
        if compared(rows, metric):
            columns.append(f"{metric.upper()}\ndifference")
        columns += [f"{control}\n{metric.upper()}" for control in _controls(rows, metric)]
    return columns


def _cells(row: Row, rows: Sequence[Row]) -> Iterator[str]:
    yield row.label
    yield row.split
    yield ", ".join(map(str, row.seeds))
    yield f"{row.trainable_parameters:,}"
    yield number(row.audio_tokens_per_second, 1)
    yield number(row.seconds_per_step)
    yield f"{number(row.loss.start, 2)} → {number(row.loss.end, 2)}"
    yield number(row.gate_entropy, 2)
    for metric in metrics_of(rows):
        one = row.metrics.get(metric)
        yield score(one, "\n")
        if compared(rows, metric):
            yield difference(one, "\n")
        for control in _controls(rows, metric):
            yield number(one.controls.get(control) if one else None)


def _controls(rows: Sequence[Row], metric: str) -> list[str]:
    scores = (row.metrics[metric] for row in rows if metric in row.metrics)
    return list(dict.fromkeys(name for score in scores for name in score.controls))


def _stacked(cells: Sequence[str]) -> list[str]:
    """Return the names, the costs and the training figures as three cells, and the scores unchanged."""
    return ["\n".join(cells[:3]), "\n".join(cells[3:6]), "\n".join(cells[6:8]), *cells[8:]]
