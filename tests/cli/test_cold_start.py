"""Every command that only looks things up starts quickly and never imports the heavy libraries."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Site

HEAVY = ("torch", "transformers", "datasets", "numpy")
#: A loaded machine is slower; the budget holds for the best of these.
TRIES = 5
PROBE = """
import sys
from steermoe_core.cli.main import main
code = main(sys.argv[1:])
print("loaded:", *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(code)
"""
EXPERIMENT = """
experiment.name = "cold"
encoder.use = "plugin0"
decoder = { use = "causal-lm", weights = "none" }
train.steps = 1
[data.train]
use = "folder"
path = "."
[data.eval.all]
use = "folder"
path = "."
"""


@pytest.fixture
def ten(site: Site) -> Site:
    """Return a site with ten plugins, and an experiment that uses one."""
    for number in range(10):
        site.healthy(f"plugin{number}")
    (site.folder / "cold.toml").write_text(EXPERIMENT)
    return site


@pytest.mark.parametrize(
    ("words", "budget"),
    [
        ("--version", 0.15),
        ("--help", 0.5),
        ("list-plugins", 0.5),
        ("check cold.toml", 0.5),
        ("describe adapter steering", 0.5),
        ("matrix adapter encoder", 0.5),
        ("schema --output schema.json", 0.5),
    ],
)
def test_cold_start(ten: Site, words: str, budget: float) -> None:
    """Best of a few tries, in a fresh interpreter each."""
    seconds = []
    for _ in range(TRIES):
        start = time.perf_counter()
        done = ten.run(*words.split(), code=PROBE)
        seconds.append(time.perf_counter() - start)
        assert done.returncode == 0, done.stderr
        if seconds[-1] <= budget:
            break

    loaded = done.stderr.partition("loaded:")[2].split()
    assert not set(HEAVY) & set(loaded)
    assert min(seconds) <= budget


def test_version_imports_no_plugin_machinery(ten: Site) -> None:
    """`--version` needs neither argparse nor attrs nor pluggy."""
    loaded = ten.run("--version", code=PROBE).stderr.split()

    assert not {"argparse", "attrs", "attr", "pluggy", "rich"} & set(loaded)
