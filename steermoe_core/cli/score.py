"""`steermoe score RUN…`: score runs again from their answers alone, by their own rules or by others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from steermoe_core.system.printing import say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator, Sequence

    from rich.table import Table

    from steermoe_core.cli.shared.session import Session
    from steermoe_core.study.rescore import Rescored


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    from steermoe_core.evaluate.config import RuleName

    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders")
    parser.add_argument("--split", action="append", metavar="NAME", help="only this split (repeatable)")
    parser.add_argument(
        "--rule",
        action="append",
        default=[],
        choices=get_args(RuleName),
        help="show the scores under this text rule and write nothing (repeatable); without it, what a "
        "changed rule changes is written to the run folder",
    )
    parser.add_argument(
        "--pathologies", action="store_true", help="show answers that loop, refuse, echo the prompt, …"
    )
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")


def run(args: Namespace, session: Session) -> int:
    """Score and print."""
    from steermoe_core.study.rescore import rescore

    found = [
        one
        for path in args.runs
        for one in rescore(path, session.registry, splits=args.split, rules=args.rule)
    ]
    if args.json:
        say_json([_facts(one) for one in found])
        return 0
    session.console.print(_table(found))
    for line in _lines(found, wrote=not args.rule, examples=args.pathologies):
        session.console.print(line, soft_wrap=True)
    return 0


def _facts(one: Rescored) -> dict[str, Any]:
    head = {"run": str(one.run), "experiment": one.experiment, "split": one.split, "changed": one.changed}
    return {**head, **one.scores}


def _table(found: Sequence[Rescored]) -> Table:
    import attrs

    from steermoe_core.cli.shared.cells import new_table, plain, with_interval
    from steermoe_core.evaluate.scores import Judged
    from steermoe_core.system.records import structured

    scores = [structured(one.scores, Judged) for one in found]
    controls = list(dict.fromkeys(control for one in scores for control in one.controls))
    table = new_table("scores, with 95 % intervals")
    table.add_column("experiment", overflow="fold")
    for name in ("split", "metric"):
        table.add_column(name, no_wrap=True)
    for name in ("score", "wrong", "missing", "more", "units", *controls):
        table.add_column(name, justify="right", no_wrap=True)
    for one, judged in zip(found, scores, strict=True):
        for name, score in judged.metrics.items():
            beside = (judged.controls.get(control, {}).get(name) for control in controls)
            counts = map(str, attrs.astuple(score.edits))
            table.add_row(one.experiment, one.split, name, with_interval(score), *counts, *map(plain, beside))
    return table


def _lines(found: Sequence[Rescored], *, wrote: bool, examples: bool) -> Iterator[str]:
    from steermoe_core.cli.shared.cells import pathologies_line

    for one in found:
        where = f"{one.run}, {one.split}"
        if wrote:
            yield f"{where}: {'renewed ' + ', '.join(one.changed) if one.changed else 'as it was'}"
        if examples:
            yield from _examples(where, one)
        elif line := pathologies_line(
            {name: it["count"] for name, it in one.scores["pathologies"].items()}, len(one.predictions[""])
        ):
            yield f"{where}: {line}"


def _examples(where: str, one: Rescored) -> Iterator[str]:
    """Yield the answers of each pathology, and what the model wrote down when there was nothing to hear."""
    rows = {row.id: row for row in one.predictions[""]}
    for name, found in one.scores["pathologies"].items():
        yield f"{where}: {name} {found['count']} ({100 * found['share']:.1f} %)"
        for row in map(rows.__getitem__, found["ids"]):
            yield f"  {row.id}\n    reference   {row.reference}\n    hypothesis  {row.hypothesis}"
    for probe in one.scores.get("probes", []):
        yield f"{where}: {probe['sound']}, {probe['seconds']:g} s: {probe['hypothesis'] or '(nothing)'}"
