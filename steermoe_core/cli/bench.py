"""`steermoe bench FILE`: what a training step costs: throughput, padding, MFU, memory, shares of time.

Without --roofline, the run's own training takes some steps on this machine, in a folder that is removed; with
--random-weights it needs neither weights nor audio. With --roofline, the same figures are computed for a GPU
that is not here, from the operations of the traced step.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.cli.shared.flags import add_lengths, add_set, count
from steermoe_core.cli.shared.table import Column, Table, figures, tags
from steermoe_core.errors import UsageError
from steermoe_core.system.printing import say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from steermoe_core.cli.shared.session import Session
    from steermoe_core.run.cost.measure import Measured
    from steermoe_core.run.cost.roofline import Roofline, Share

#: Kinds of operations that the table shows; those for which the host waits come on top.
_MOST = 12
_COLUMNS = [*tags("figure"), Column("value", "right", least=40)]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("file", type=Path, metavar="FILE", help="an experiment file")
    add_set(parser)
    text = "steps that are measured (default 10), or batches that are traced (default 3)"
    parser.add_argument("--steps", type=count, metavar="N", help=text)
    text = "compute the step for this GPU, such as h100, instead of measuring it here"
    parser.add_argument("--roofline", metavar="GPU", help=text)
    text = "measure with random weights, on noise as long as the clips: nothing is fetched"
    parser.add_argument("--random-weights", action="store_true", help=text)
    text = "say how long so many ranks wait for the one with the longest clips (default 1)"
    parser.add_argument("--ranks", type=count, default=1, metavar="N", help=text)
    add_lengths(parser)
    parser.add_argument("--json", action="store_true", help="print JSON with all figures")


def run(args: Namespace, session: Session) -> int:
    """Print the figures.

    :raises UsageError: flags contradict one another.
    """
    from steermoe_core.config.resolve import resolve

    _check(args)
    resolved = resolve(args.file, args.set, session.registry)
    from steermoe_core.run.console import Console

    console = Console()
    found: Roofline | Measured
    if args.roofline:
        from steermoe_core.run.cost.gpus import gpu_called
        from steermoe_core.run.preview.costs import Machines, rooflines

        gpus, batches = [gpu_called(args.roofline)], args.steps or 3
        machines = Machines(
            gpus=gpus, console=console, ranks=[args.ranks], lengths=args.lengths, batches=batches
        )
        with console.warnings():
            (found,) = rooflines(resolved, session.registry, machines)
        tables = list(_computed(found))
    else:
        from steermoe_core.run.cost.measure import measure

        with console.warnings():
            noise = args.lengths if args.random_weights else None
            steps = args.steps or 10
            found = measure(resolved, session.registry, console, steps=steps, noise=noise, ranks=args.ranks)
        tables = [_measured(found)]
    if args.json:
        say_json(found.as_json())
        return 0
    for table in tables:
        session.console.print(table)
        session.console.print()
    return 0


def _check(args: Namespace) -> None:
    if args.roofline and args.random_weights:
        msg = "--roofline computes with shapes, without any weights; leave out --random-weights"
        raise UsageError(msg)
    if args.lengths != "data" and not (args.roofline or args.random_weights):
        msg = "--lengths needs --roofline or --random-weights: a measurement trains on the experiment's clips"
        raise UsageError(msg)


def _computed(found: Roofline) -> Iterator[Table]:
    rows = [
        ("lengths", found.lengths),
        ("audio a step", f"{found.audio_seconds:.1f} s, mean of {found.batches} traced batches"),
        ("step", _milliseconds(found.step)),
        ("matrix products, attention", _milliseconds(found.matrix)),
        ("memory-bound operations", _milliseconds(found.memory)),
        ("launches", f"{found.kernels:,.0f} kernels, {_milliseconds(found.launches)} of the host"),
        ("host synchronisations", f"{found.syncs:.1f}"),
        ("utterances/s", f"{found.utterances_per_second:,.1f}"),
        ("tokens/s", f"{found.tokens_per_second:,.0f}"),
        *_padding(found.padding),
        *_waiting(found),
        ("MFU", f"{found.mfu:.1%} of the peak"),
        ("activations, longest batch", f"{found.peak_bytes / 2**30:.1f} GiB"),
    ]
    title = f"a training step on {found.gpu}, {found.ranks} × {found.clips:.0f} clips, computed"
    yield Table(title=title, columns=_COLUMNS, rows=rows)
    columns = ["ms", "matrix", "memory", "TFLOP", "GB", "kernels", "syncs"]
    parts = [_share(one) for one in found.parts]
    yield Table(title="by part", columns=[*tags("part"), *figures(*columns)], rows=parts)
    shown = [one for place, one in enumerate(found.operations) if place < _MOST or one.syncs]
    kinds = [[name, ms, *others] for name, ms, _, _, *others in map(_share, shown)]
    columns = ["ms", "TFLOP", "GB", "kernels", "syncs"]
    yield Table(title="by operation", columns=[*tags("operation"), *figures(*columns)], rows=kinds)


def _measured(found: Measured) -> Table:
    planned = "unknown" if found.planned_bytes is None else f"{found.planned_bytes / 2**20:,.0f} MiB"
    rows = [
        ("step", _milliseconds(found.step)),
        ("clips a step", f"{found.clips:.1f}, {found.audio_seconds:.1f} s of audio"),
        ("utterances/s", f"{found.utterances_per_second:,.2f}"),
        ("tokens/s", f"{found.tokens_per_second:,.0f}"),
        *_padding(found.padding),
        ("MFU", "unknown" if found.mfu is None else f"{found.mfu:.1%} of {_rates(found)}"),
        ("peak memory", f"{found.peak_bytes / 2**20:,.0f} MiB; the plan's estimate is {planned}"),
        *((f"time in {part}", f"{share:.1%}") for part, share in found.shares.items()),
        *_waiting(found),
    ]
    steps = "a training step" if found.steps == 1 else f"{found.steps} training steps"
    title = f"{steps} on {found.device}"
    return Table(title=title, columns=_COLUMNS, rows=rows)


def _waiting(found: Roofline | Measured) -> list[tuple[str, str]]:
    return [("waiting", f"{found.waiting:.1%} on {found.ranks} ranks")] if found.ranks > 1 else []


def _rates(found: Measured) -> str:
    return ", ".join(f"{rate / 1e9:,.0f} GFLOP/s ({dtype})" for dtype, rate in found.rates.items())


def _padding(padding: dict[str, float]) -> list[tuple[str, str]]:
    return [(f"padding, {tower}", f"{share:.1%}") for tower, share in padding.items()]


def _share(one: Share) -> list[str]:
    return [
        one.name,
        *(f"{1000 * value:.2f}" for value in (one.seconds, one.matrix, one.memory)),
        *(f"{value:.2f}" for value in (one.tflops, one.gigabytes)),
        f"{one.kernels:,.0f}",
        f"{one.syncs:.1f}",
    ]


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.1f} ms"
