"""Sound experiments to damage: the shipped ones, and one that uses all of TOML."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import tomli

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
#: Every way to write a key, a table and a value.
RICH = """\
# every way to write a key: 学习 é 🎧
extends = "base/rich.toml"
experiment = { name = "rich", seed = 0x11, "description" = 'it''s' }
metrics = [
    { use = "wer" }, # one
    { use = "cer" },
]
[encoder]
"use" = "hf"
weights = "w"
[decoder] # é
use = "causal-lm"
weights = \"\"\"
a
b\"\"\"
[[data.train]]
use = "folder"
path = "clips/学"
speeds = [0.9, 1, 1.1]
parts.dev = 0.1
parts."test" = 0.2
[[data.train]]
use = "jsonl"
path = 'clips.jsonl'
split = "train"
[data]
weights = [1.0,
  2]
[data.eval.dev]
use = "folder"
path = "/clips"
[train]
steps = 1_000
learning_rate.projector = 1e-3
learning_rate.steering = 0.5
recompute = ["encoder"]
clip = +2.5
[[callbacks]]
use = "steering-analysis"
every = 50
""".replace("'it''s'", "'its'")
RICH_BASE = """\
[adapter]
use = "steering"
layers = [0, 2]
router = { use = "topk", k = 3 }
[projector]
use = "mlp"
pool.kind = "max"
pool.kernel = 3
"""


@cache
def corpus() -> list[dict[str, str]]:
    """Return sound experiments, each with the files that it extends."""
    found = [{"experiment.toml": RICH, "base/rich.toml": RICH_BASE}]
    for path in sorted([*EXPERIMENTS.glob("*.toml"), *EXPERIMENTS.glob("paper/*.toml")]):
        files, place = {}, path
        while place is not None:
            files[os.path.relpath(place, path.parent)] = text = place.read_text(encoding="utf-8")
            above = tomli.loads(text).get("extends")
            place = None if above is None else Path(os.path.normpath(place.parent / above))
        files["experiment.toml"] = files.pop(path.name)
        found.append(
            {name: files[name] for name in sorted(files, key=lambda name: name != "experiment.toml")}
        )
    return found
