"""Start-up of the commands that only look things up: the whole process, and what it may not import."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.figure import Figure
from tests.conftest import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
#: Most seconds of each command.
BUDGETS = {
    "--version": 0.15,
    "--help": 0.5,
    "list-plugins": 0.5,
    "check experiments/whisper_layer_wise.toml": 0.5,
}
#: Plugins that are installed beside those of this checkout.
PLUGINS = 10
REPEATS = 5
PROBE = """
import sys
from steermoe_core.cli.main import main
code = main(sys.argv[1:])
sys.exit(code or ("torch" in sys.modules and "torch was imported"))
"""


def starts(*, quick: bool) -> Iterator[Figure]:
    """Yield the median CPU seconds of each command's process; a busy machine does not stretch them."""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder))
        for number in range(PLUGINS):
            site.healthy(f"plugin{number}")
        for words, budget in BUDGETS.items():
            _run(folder, sys.executable, "-c", PROBE, *words.split())
            laps = [_timed(folder, words) for _ in range(REPEATS)]
            cpu, wall = (statistics.median(times) for times in zip(*laps, strict=True))
            yield Figure(
                name=f"steermoe {words.partition(' ')[0]}, seconds",
                value=cpu,
                bound=budget,
                detail=f"{wall:.3f} s on the clock, {PLUGINS} more plugins, torch is not imported",
            )


def _timed(site: str, words: str) -> tuple[float, float]:
    begun, clock = _children(), time.perf_counter()
    _run(site, str(Path(sys.executable).with_name("steermoe")), *words.split())
    return _children() - begun, time.perf_counter() - clock


def _run(site: str, *command: str) -> None:
    environment = {**os.environ, "PYTHONPATH": site}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
