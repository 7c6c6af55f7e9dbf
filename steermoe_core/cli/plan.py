"""`steermoe plan FILE`: preview a run without loading a weight.

The preview shows parts, shapes, parameters, estimated memory and data.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from steermoe_core.cli.shared.flags import add_runs, add_set, seconds
from steermoe_core.cli.shared.table import Table, words
from steermoe_core.system.printing import say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable, Sequence

    from steermoe_core.cli.shared.session import Session


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("file", type=Path, metavar="FILE", help="an experiment file")
    add_set(parser)
    parser.add_argument(
        "--seconds", type=seconds, default=10.0, metavar="S", help="length of the clip shown (default 10)"
    )
    add_runs(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: Namespace, session: Session) -> int:
    """Print the plan."""
    from steermoe_core.config.resolve import resolve

    resolved = resolve(args.file, args.set, session.registry)
    from steermoe_core.run.preview.plan import plan

    found = plan(resolved, session.registry, args.runs, seconds=args.seconds)
    if args.json:
        say_json(found)
        return 0
    for table in _tables(found):
        session.console.print(table)
    session.console.print(f"run folder: {found['run_folder']}", soft_wrap=True)
    return 0


def _tables(found: dict[str, Any]) -> Iterable[Table]:
    way, memory = found["shapes"], found["memory_bytes"]
    parts = [[p["kind"], p["name"], p["distribution"], _weights(p)] for p in found["parts"]]
    yield _table("parts", ("kind", "name", "distribution", "weights"), parts)
    steps = [
        ("samples", f"{way['samples']:,}"),
        ("encoder frames", " × ".join(map(str, way["frames"]))),
        ("audio tokens, at most", " × ".join(map(str, way["audio_tokens"]))),
        *_positions(way),
    ]
    yield _table(f"a clip of {way['seconds']:g} s", ("stage", "size"), steps)
    counts = [(row["part"], f"{row['trainable']:,}", f"{row['frozen']:,}") for row in found["parameters"]]
    yield _table("parameters", ("part", "trainable", "frozen"), counts)
    unknown = f"unknown ({memory.get('unknown')})"
    sizes = [
        (name, unknown if size is None else f"{size / 2**20:,.0f} MiB")
        for name, size in memory.items()
        if name != "unknown"
    ]
    yield _table("memory of a training step, estimated", ("for", "size"), sizes)
    rows = [(row["split"], *_amount(row), row["note"]) for row in found["data"]]
    yield _table("data", ("split", "clips", "length", "note"), rows)


def _weights(part: dict[str, Any]) -> str:
    return f"{part['weights']} (not on this machine)" if part["here"] is False else part["weights"]


def _positions(way: dict[str, Any]) -> list[tuple[str, str]]:
    if way["positions"] is None:
        unknown = "unknown (the decoder's tokenizer is not on this machine)"
        return [("prompt tokens", unknown), ("the decoder's context", f"{way['context']:,}")]
    parts = f"{way['before']} before + {way['audio_tokens'][0]} audio + {way['after']} after"
    total = f"{way['positions']:,} of {way['context']:,}"
    return [("decoder positions", parts), ("of the decoder's context", total)]


def _amount(row: dict[str, Any]) -> tuple[str, str]:
    if row["clips"] is None:
        return "–", "–"
    return f"{row['clips']:,}", f"{row['seconds'] / 60:.1f} min"


def _table(title: str, columns: Iterable[str], rows: Iterable[Sequence[str]]) -> Table:
    return Table(title=title, columns=words(*columns), rows=list(rows), look="boxed")
