"""Run the benchmarks: `python -m tests.benchmarks [--quick] [--json FILE] [NAME …]`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from rich.console import Console

from tests.benchmarks import (
    batches,
    commands,
    frames,
    generation,
    identities,
    memory,
    packing,
    stages,
    syncs,
    tables,
    training,
    words,
)
from tests.benchmarks.figure import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.benchmarks.figure import Figure

BENCHMARKS: dict[str, Callable[..., Iterator[Figure]]] = {
    "commands": commands.starts,
    "identities": identities.identities,
    "overhead": training.overheads,
    "speed-up": training.speed_ups,
    "memory": memory.peaks,
    "adapter": memory.adapter_sizes,
    "frames": frames.kept,
    "packing": packing.savings,
    "generation": generation.throughput,
    "stages": stages.shares,
    "syncs": syncs.waits,
    "batches": batches.shares,
    "tables": tables.curve,
    "words": words.starts,
}


def main() -> int:
    """Measure, print a table, write JSON; return 1 if a bound is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"some of {', '.join(BENCHMARKS)}; all by default"
    )
    parser.add_argument(
        "--quick", action="store_true", help="less data and fewer repeats, under three minutes"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    args = parser.parse_args()
    if unknown := set(args.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {min(unknown)}")
    figures = [figure for name in args.names or BENCHMARKS for figure in BENCHMARKS[name](quick=args.quick)]
    Console(width=140).print(table(figures))
    if args.json:
        rows = [{**attrs.asdict(figure), "holds": figure.holds} for figure in figures]
        args.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")
    return 0 if all(figure.holds for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
