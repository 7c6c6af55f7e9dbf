"""`steermoe compare RUN RUN…`: what differs between runs: settings, surroundings, and scores clip by clip.

Runs that differ in nothing but the seed are one; each is compared with the first, on the same clips.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from steermoe_core.cli.shared.scores import add_choice, chosen, difference, number, score
from steermoe_core.cli.shared.table import Table, add_formats, figures, print_tables, words

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from steermoe_core.cli.shared.session import Session
    from steermoe_core.study.compare import Comparison


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="run folders; the first is what others are compared with",
    )
    add_choice(parser)
    add_formats(parser)


def run(args: Namespace, session: Session) -> int:
    """Print the tables and what may be said."""
    import attrs

    from steermoe_core.run.console import Console
    from steermoe_core.study.compare import compare
    from steermoe_core.study.seeds import scored_runs

    found = compare(scored_runs(args.runs, Console().note), session.registry)
    found = attrs.evolve(found, rows=chosen(found.rows, args))
    facts = {**attrs.asdict(found), "sentences": list(_verdicts(found)), "notes": list(_notes(found))}
    warnings = [f"warning: {warning}" for warning in found.warnings]
    said = [*warnings, *_verdicts(found), *_notes(found)]
    print_tables(list(_tables(found)), args, session.console, facts=facts, sentences=said)
    return 0


def _tables(found: Comparison) -> Iterator[Table]:
    facts = {
        "seeds": [", ".join(map(str, group["seeds"])) for group in found.groups],
        "trained": [f"{group['trainable_parameters']:,}" for group in found.groups],
    }
    settings = {key: [_setting(value) for value in values] for key, values in found.settings.items()}
    yield _side_by_side("settings that differ", found, {**facts, **settings})
    if found.surroundings:
        around = {
            key: [", ".join(map(_setting, one)) for one in values]
            for key, values in found.surroundings.items()
        }
        yield _side_by_side("packages, weights and data that differ", found, around)
    values = figures("value\n(95 % interval)", f"difference to\n{found.labels[0]}")
    values += figures("probability of\nimprovement")
    lines = [
        [row["label"], row["split"], metric.upper(), score(one), difference(one), _odds(one)]
        for row in found.rows
        for metric, one in row["metrics"].items()
    ]
    yield Table(title="scores", columns=[*words("run", "split", "score"), *values], rows=lines)


def _side_by_side(title: str, found: Comparison, values: dict[str, list[str]]) -> Table:
    lines = [[key, *row] for key, row in values.items()]
    return Table(title=title, columns=words("", *found.labels), rows=lines)


def _setting(value: Any) -> str:
    """Return a setting as its file has it, text without quotes."""
    from steermoe_core.config.text.write import inline

    if value is None:
        return "–"
    return value if isinstance(value, str) else inline(value)


def _odds(one: dict[str, Any]) -> str:
    return number(one.get("against", {}).get("improvement"), 2)


def _verdicts(found: Comparison) -> Iterator[str]:
    from steermoe_core.study.compare import sentence

    for row in found.rows:
        for metric, one in row["metrics"].items():
            if "against" in one:
                yield sentence(found.labels[0], row["label"], row, metric)


def _notes(found: Comparison) -> Iterator[str]:
    from steermoe_core.study.compare import one_seed

    if note := one_seed(found):
        yield note
