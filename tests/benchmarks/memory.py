"""Peak memory of a training step, and bytes of what it leaves behind.

The peak is the high-water mark of a process of its own, less what was resident before the step: what the step
adds to the weights. The kernel counts it, so it holds what the allocator, its fragmentation and the libraries
take beside torch's tensors. The mark is put back before the step: loading the weights leaves a higher one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch

from steermoe_core.train.checkpoint import save_trained
from tests.benchmarks.figure import Figure
from tests.benchmarks.lab import Lab
from tests.benchmarks.padded_baseline import PaddedBaseline
from tests.benchmarks.training import CLIPS, VARIANTS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
#: The engine's step adds at most this share of what the padded one adds.
MEMORY = 0.4
#: The adapter's file is at most this share of the frozen weights.
ADAPTER = 0.01
MEBI = 2**20


def peaks(*, quick: bool) -> Iterator[Figure]:
    """Yield the engine's peak as a share of the padded baseline's, on the same clips."""
    for name, overrides in list(CLIPS.items())[-1 if quick else 0 :]:
        words = ["train.steps=1", f"train.batch_size={2 if quick else 4}", *overrides]
        engine, padded = (_in_a_process(who, words) for who in ("engine", "padded"))
        yield Figure(
            name=f"peak memory / padded, {name}",
            value=engine / padded,
            bound=MEMORY,
            detail=f"{engine / MEBI:.0f} MiB and {padded / MEBI:.0f} MiB over the weights",
        )


def adapter_sizes(*, quick: bool) -> Iterator[Figure]:
    """Yield the bytes of each variant's adapter file as a share of its frozen weights."""
    for name, overrides in list(VARIANTS.items())[-1 if quick else 0 :]:
        model = Lab(*overrides).model
        frozen = sum(p.numel() * p.element_size() for p in model.parameters() if not p.requires_grad)
        with TemporaryDirectory() as folder:
            file = Path(folder) / "adapter.safetensors"
            save_trained(model, file)
            size = file.stat().st_size
        yield Figure(
            name=f"adapter file / frozen weights, {name}",
            value=size / frozen,
            bound=ADAPTER,
            detail=f"{size / MEBI:.2f} MiB and {frozen / MEBI:.0f} MiB: 1/{frozen / size:.0f}",
        )


def _in_a_process(who: str, overrides: list[str]) -> int:
    command = [sys.executable, "-m", "tests.benchmarks.memory", who, *overrides]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return int(json.loads(done.stdout.splitlines()[-1]))


def _step(who: str, overrides: list[str]) -> int:
    """Return the bytes by which one step raises this process's memory."""
    lab = Lab(*overrides)
    batches = lab.batches()
    work = lab.train if who == "engine" else lambda: PaddedBaseline(lab).train_on(batches)
    torch.ones(64, 64, requires_grad=True).matmul(torch.ones(64, 64)).sum().backward()  # its threads start
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the mark becomes what is resident
    before = _kibibytes("VmHWM")
    work()
    return 1024 * (_kibibytes("VmHWM") - before)


def _kibibytes(name: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in status if line.startswith(f"{name}:")))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_step(sys.argv[1], sys.argv[2:])))
