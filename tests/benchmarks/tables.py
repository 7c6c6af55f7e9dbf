"""What a start costs against the number of rows: `python -m tests.benchmarks.tables [ROWS …] [--json FILE]`.

A manifest with spans of a few clips is written for each size. A fresh process then does with it what `run`
does before the first step, twice: first without an index in the cache, then with one. Then the certificate
of overlap is made, as after a training that has read every clip. Measured are CPU seconds of all cores, so
that other work on the machine does not count, seconds by the clock, and two kinds of memory above what the
imports take: megabytes of the process alone, and megabytes of the index that are mapped, which all ranks and
workers of a machine share. From the two largest sizes, the costs of ten million rows are extrapolated.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from tests.benchmarks.figure import Figure
from tests.tiny import DIGITS

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Sizes of a table without arguments, and of the quick one.
ROWS, QUICK = (10_000, 100_000, 1_000_000), (4_000,)
#: The size to which the measured ones are extrapolated.
LARGEST = 10_000_000
_SUMS = ("seconds", "clock", "megabytes", "mapped")
_RATE, _CLIPS = 16_000, 16


def write(folder: Path, rows: int) -> Path:
    """Write a manifest with a number of rows, each a span of one of a few clips."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(_CLIPS):
        noise = random.normal(0.0, 0.1, 60 * _RATE).astype(np.float32)
        soundfile.write(folder / f"{number}.wav", noise, _RATE, subtype="PCM_16")
    path = folder / "manifest.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            words = random.choice(DIGITS, random.integers(5, 40))
            line = {
                "audio": f"{number % _CLIPS}.wav",
                "offset": number // _CLIPS * 1e-5,
                "duration": round(float(random.uniform(1.0, 16.0)), 3),
                "text": f"{' '.join(words)} {number}",
                "speaker": f"s{number % 997}",
            }
            file.write(json.dumps(line) + "\n")
    return path


def start(path: Path) -> dict[str, float]:
    """Do what a run does with its data before the first step; return the seconds of each part."""
    from steermoe_core.data.batches import Epochs
    from steermoe_core.data.collators import AsrCollator
    from steermoe_core.data.config import AsrConfig, JsonlConfig
    from steermoe_core.data.examples import Examples
    from steermoe_core.data.padded import Padded
    from steermoe_core.data.sources.jsonl import read_jsonl
    from steermoe_core.data.usable import refuse_tests, usable
    from steermoe_core.run.assembly.builder import data_record
    from tests.tiny import tokenizer

    collator = AsrCollator(AsrConfig(), tokenizer(), lambda _: Padded.stack([]))
    before, laps, begun, clock = memory(), {}, time.process_time(), time.perf_counter()

    def lap(name: str) -> None:
        laps[name] = time.process_time() - begun - sum(laps.values())

    examples: Any = read_jsonl(JsonlConfig(path=path))
    lap("read")
    refuse_tests(examples, "train")
    examples, _ = usable(examples, 0.1, 30.0, 0.0)
    lap("filter")
    examples, _ = collator.fitting(examples)
    lap("tokens")
    data_record(examples)
    lap("record")
    batches = Epochs(Examples.of(examples).seconds, 8, 64, 0)
    epoch = batches.batches(0)  # which stays in memory
    [examples[number] for number in next(epoch)]
    lap("batches")
    seconds = {"seconds": sum(laps.values()), "clock": time.perf_counter() - clock}
    return {**laps, **seconds, **above(before)}


def certify(path: Path) -> dict[str, float]:
    """Compare the training data with a thousand other clips, after training has read it; return the seconds.

    The prints that reading the training data keeps are written here: no million of clips is decoded for them.
    """
    import attrs

    from steermoe_core.data.audio import beginnings
    from steermoe_core.data.config import JsonlConfig
    from steermoe_core.data.examples import Examples
    from steermoe_core.data.sources.jsonl import read_jsonl
    from steermoe_core.run.console import Console
    from steermoe_core.run.preview.overlap import overlap

    examples = Examples.of(read_jsonl(JsonlConfig(path=path)))
    addresses, files = list(examples.values("address")), list(examples.values("file"))
    random = np.random.default_rng(1)
    for start in range(0, len(addresses), 4096):
        some = slice(start, start + 4096)
        prints = random.integers(1, 2**63, len(addresses[some]), np.uint64)
        beginnings.keep_all(addresses[some], files[some], prints)
    del addresses, files
    scored: list[Any] = [
        attrs.evolve(one, id=f"test {one.id}", audio=attrs.evolve(one.audio, start=one.audio.start + 5e-6))
        for one in examples[:: max(1, len(examples) // 1000)]
    ]
    before, laps, clock = memory(), {}, time.perf_counter()
    for name in ("seconds", "again"):
        begun = time.process_time()
        overlap(examples, {"test": scored}, Console(quiet=True))
        laps[name] = time.process_time() - begun
    return {**laps, "clock": time.perf_counter() - clock, **above(before)}


def memory() -> dict[str, float]:
    """Return the megabytes that this process has written to, and those that it has mapped from files.

    Pages of files that no other process maps count as private in Linux.
    """
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]
    pages = {line.split(":")[0]: 1024 * int(line.split()[1]) / 1e6 for line in lines}
    return {"megabytes": pages["Private_Dirty"], "mapped": pages["Private_Clean"] + pages["Shared_Clean"]}


def above(before: dict[str, float]) -> dict[str, float]:
    """Return the memory that has come since."""
    return {kind: now - before[kind] for kind, now in memory().items()}


def measured(work: str, path: Path, cache: Path) -> dict[str, float]:
    """Return what `start` or `certify` measures in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.tables", f"--{work}", str(path)]
    environment = {**os.environ, "STEERMOE_CACHE": str(cache)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def costs(rows: int) -> dict[str, dict[str, float]]:
    """Return what the first and the second start and the certificate of overlap cost."""
    with tempfile.TemporaryDirectory() as folder:
        path, cache = write(Path(folder, "data"), rows), Path(folder, "cache")
        found = {name: measured("start", path, cache) for name in ("first", "second")}
        return {**found, "certificate": measured("certify", path, cache)}


def curve(*, quick: bool) -> Iterator[Figure]:
    """Yield the second start as a share of the first, and the costs of both, at each size."""
    for rows in QUICK if quick else ROWS:
        found = costs(rows)
        detail = ", ".join(
            f"{name} {one['seconds']:.2f} s {one['megabytes']:.0f} MB" for name, one in found.items()
        )
        yield Figure(
            name=f"{rows:,} rows: second start as a share of the first",
            value=found["second"]["seconds"] / found["first"]["seconds"],
            bound=0.5,
            detail=detail,
        )


def extrapolated(found: dict[int, dict[str, dict[str, float]]], rows: int) -> dict[str, dict[str, float]]:
    """Return the costs of a number of rows on the line through those of the two largest sizes."""
    (less, fewer), (more, larger) = sorted(found.items())[-2:]
    share = (rows - less) / (more - less)
    return {
        name: {part: fewer[name][part] + share * (one[part] - fewer[name][part]) for part in one}
        for name, one in larger.items()
    }


def show(rows: str, found: dict[str, dict[str, float]]) -> None:
    """Print the costs at one size."""
    for name, one in found.items():
        parts = ", ".join(f"{part} {seconds:.2f}" for part, seconds in one.items() if part not in _SUMS)
        bar = "█" * max(1, round(8 * np.log10(1 + 100 * one["seconds"])))
        line = (
            f"{rows:>11} {name:>11} {one['seconds']:8.2f} s CPU {one['clock']:8.2f} s "
            f"{one['megabytes']:6.0f} MB {one['mapped']:6.0f} MB mapped  {bar} ({parts})"
        )
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def main() -> None:
    """Print a table of costs against rows, a bar for each size, and write JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.tables", description=__doc__)
    parser.add_argument(
        "rows", type=int, nargs="*", metavar="ROWS", help="sizes; 10⁴, 10⁵ and 10⁶ by default"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    for work in ("start", "certify"):
        parser.add_argument(f"--{work}", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if path := args.start or args.certify:
        sys.stdout.write(json.dumps((start if args.start else certify)(path)) + "\n")
        return
    found: dict[int, dict[str, dict[str, float]]] = {}
    for rows in args.rows or ROWS:
        found[rows] = costs(rows)
        show(f"{rows:,}", found[rows])
    if len(found) > 1 and max(found) < LARGEST:
        show(f"~{LARGEST:,}", extrapolated(found, LARGEST))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
