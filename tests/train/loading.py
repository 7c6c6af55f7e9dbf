"""A decoder loaded and split by ZeRO-3: `python -m tests.train.loading PLACE DECODER`.

Each process of two runs this; it leaves in PLACE what it loaded, and the most memory that loading took.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import deepspeed  # noqa: F401 - its memory is no part of what is measured
import transformers.models.qwen2.modeling_qwen2  # noqa: F401

from steermoe_core.config.experiment import DeepSpeedConfig, TrainConfig
from steermoe_core.run.folder.adapter import identity
from steermoe_core.train import ranks
from steermoe_core.train.zero import split_decoder
from tests.parts import joined

#: Of a process, in `/proc/self/status`: what is in memory, and the most that was.
NOW, MOST = "VmRSS", "VmHWM"


def megabytes(name: str) -> float:
    """Return a number of kilobytes that Linux tells of this process, as megabytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"{name}:\s+(\d+)", status)
    assert found
    return int(found[1]) * 1024 / 1e6


def loaded(small: str, large: str, place: Path) -> None:
    """Load and split a small decoder, which starts what DeepSpeed needs, then the measured one."""
    train = TrainConfig(steps=1, deepspeed=DeepSpeedConfig(stage=3))
    for decoder in (small, large):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the most starts from now
        before = megabytes(NOW)
        model = joined(decoder, dtype="bfloat16")
        split_decoder(model, train)
        found = {"identity": identity(model)["decoder"], "megabytes": megabytes(MOST) - before}
    file = place / f"rank-{ranks.rank()}.json"
    file.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    with ranks.process_group("cpu"):
        loaded(sys.argv[2], sys.argv[3], Path(sys.argv[1]))
