"""`steermoe plan FILE`: preview a run without loading a weight.

The preview shows parts, shapes, parameters, estimated memory and data; with --gpu also time and cost.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.cli.shared.flags import add_lengths, add_runs, add_set, count, seconds
from steermoe_core.cli.shared.table import Table, words
from steermoe_core.errors import UsageError
from steermoe_core.system.printing import say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable, Sequence

    from steermoe_core.cli.shared.session import Session
    from steermoe_core.run.preview.costs import Cost, Machines
    from steermoe_core.run.preview.plan import Part, Plan, Split
    from steermoe_core.run.preview.shapes import Shapes


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("file", type=Path, metavar="FILE", help="an experiment file")
    add_set(parser)
    parser.add_argument(
        "--seconds", type=seconds, default=10.0, metavar="S", help="length of the clip shown (default 10)"
    )
    text = "estimate time, cost and fit of the training on this GPU, such as h100 (repeatable)"
    parser.add_argument("--gpu", action="append", default=[], metavar="NAME", help=text)
    text = "with --gpu: number of GPUs (repeatable; default 1); the run passes over the same clips"
    parser.add_argument("--ranks", action="append", type=count, default=[], metavar="N", help=text)
    text = "with --gpu: price of a GPU for an hour"
    parser.add_argument("--price", type=seconds, metavar="P", help=text)
    add_lengths(parser)
    add_runs(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: Namespace, session: Session) -> int:
    """Print the plan.

    :raises UsageError: a flag is given that only matters with --gpu.
    """
    from steermoe_core.config.resolve import resolve

    if not args.gpu and (args.ranks or args.price or args.lengths != "data"):
        msg = "--ranks, --price and --lengths need --gpu"
        raise UsageError(msg)

    resolved = resolve(args.file, args.set, session.registry)
    from steermoe_core.run.preview.plan import plan

    found = plan(
        resolved,
        session.registry,
        args.runs,
        seconds=args.seconds,
        machines=_machines(args) if args.gpu else None,
    )
    if args.json:
        say_json(found.as_json())
        return 0
    for table in _tables(found):
        session.console.print(table)
    session.console.print(f"training: {_length(found)}", soft_wrap=True)
    session.console.print(f"run folder: {found.run_folder}", soft_wrap=True)
    return 0


def _machines(args: Namespace) -> Machines:
    from steermoe_core.run.console import Console
    from steermoe_core.run.cost.gpus import gpu_called
    from steermoe_core.run.preview.costs import Machines

    return Machines(
        gpus=[gpu_called(name) for name in dict.fromkeys(args.gpu)],
        console=Console(),
        ranks=args.ranks or [1],
        price=args.price,
        lengths=args.lengths,
    )


def _length(found: Plan) -> str:
    steps = "an unknown number of" if found.steps is None else f"{found.steps:,}"
    epochs = "an unknown number of" if found.epochs is None else f"{found.epochs:.4g}"
    return f"{steps} steps in one process, {epochs} epochs"


def _tables(found: Plan) -> Iterable[Table]:
    clip, memory = found.shapes, found.memory_bytes
    parts = [[part.kind, part.name, part.distribution, _weights(part)] for part in found.parts]
    yield _table("parts", ("kind", "name", "distribution", "weights"), parts)
    steps = [
        ("samples", f"{clip.samples:,}"),
        ("encoder frames", " × ".join(map(str, clip.frames))),
        ("audio tokens, at most", " × ".join(map(str, clip.audio_tokens))),
        *_positions(clip),
    ]
    yield _table(f"a clip of {clip.seconds:g} s", ("stage", "size"), steps)
    counts = [(row.part, f"{row.trainable:,}", f"{row.frozen:,}") for row in found.parameters]
    yield _table("parameters", ("part", "trainable", "frozen"), counts)
    groups = [
        (row.group, f"{row.parameters:,}", "–" if row.learning_rate is None else f"{row.learning_rate:g}")
        for row in found.groups
    ]
    yield _table("parameter groups", ("group", "trainable", "learning rate"), groups)
    unknown = f"unknown ({memory.unknown})"
    sizes = [
        (name, unknown if size is None else f"{size / 2**20:,.0f} MiB")
        for name in ("weights", "trained", "activations", "backward", "total")
        for size in (getattr(memory, name),)
    ]
    yield _table("memory of a training step, estimated", ("for", "size"), sizes)
    rows = [(row.split, *_amount(row), row.note) for row in found.data]
    yield _table("data", ("split", "clips", "length", "note"), rows)
    if found.costs:
        columns = ("GPU", "ranks", "step", "waiting", "steps", "time", "cost", "memory")
        yield _table("training on GPUs, estimated", columns, [_cost(row) for row in found.costs])


def _cost(row: Cost) -> list[str]:
    return [
        row.gpu,
        str(row.ranks),
        f"{1000 * row.step_seconds:,.1f} ms",
        f"{row.waiting:.0%}",
        "–" if row.steps is None else f"{row.steps:,}",
        "–" if row.hours is None else f"{row.hours:,.2f} h",
        "–" if row.price is None else f"{row.price:,.2f}",
        f"{row.memory_bytes / 2**30:.1f} GiB: {'fits' if row.fits else 'does not fit'}",
    ]


def _weights(part: Part) -> str:
    return f"{part.weights} (not on this machine)" if part.here is False else part.weights


def _positions(clip: Shapes) -> list[tuple[str, str]]:
    if clip.positions is None:
        unknown = "unknown (the decoder's tokenizer is not on this machine)"
        return [("prompt tokens", unknown), ("the decoder's context", f"{clip.context:,}")]
    parts = f"{clip.before} before + {clip.audio_tokens[0]} audio + {clip.after} after"
    total = f"{clip.positions:,} of {clip.context:,}"
    return [("decoder positions", parts), ("of the decoder's context", total)]


def _amount(row: Split) -> tuple[str, str]:
    if row.clips is None or row.seconds is None:
        return "–", "–"
    return f"{row.clips:,}", f"{row.seconds / 60:.1f} min"


def _table(title: str, columns: Iterable[str], rows: Iterable[Sequence[str]]) -> Table:
    return Table(title=title, columns=words(*columns), rows=list(rows), look="boxed")
