"""Every command that only looks things up starts quickly and never imports the heavy libraries."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Site
from tests.pace import computing, pace
from tests.plugins.test_probe import FATAL

HEAVY = ("torch", "transformers", "datasets", "numpy")
#: A budget holds for the best of these, times the pace of the machine.
TRIES = 5
#: Seconds of a command whose plugins have been examined before.
WARM = 0.5
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
        start = computing()
        done = ten.run(*words.split(), code=PROBE)
        seconds.append(computing() - start)
        assert done.returncode == 0, done.stderr
        if seconds[-1] <= budget * pace():
            break

    loaded = done.stderr.partition("loaded:")[2].split()
    assert not set(HEAVY) & set(loaded)
    assert min(seconds) <= budget * pace()


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Return a site with a healthy plugin among all that crash, hang or misbehave, each examined once."""
    site = Site(tmp_path_factory.mktemp("crowd") / "site")
    site.healthy("plugin0")
    for number, (source, _) in enumerate(FATAL.values()):
        site.add(f"odd{number}", source.replace('name="odd"', f'name="odd{number}"'))
    (site.folder / "cold.toml").write_text(EXPERIMENT)
    assert site.run("list-plugins", STEERMOE_PLUGIN_TIMEOUT="2").returncode == 0
    return site


@pytest.mark.parametrize(
    "words",
    [
        "list-plugins --json",
        "check cold.toml --json",
        "config cold.toml --json",
        "describe adapter steering --json",
        "describe encoder --json",
        "matrix adapter encoder --json",
        "completion --words check ",
        "completion --words describe encoder ",
    ],
)
def test_start_among_misbehaving_plugins(crowd: Site, words: str) -> None:
    """Once they are examined, a command that needs none of them imports none, and is quick and clean."""
    seconds = []
    for _ in range(TRIES):
        start = computing()
        done = crowd.run(*words.split(" "), code=PROBE, STEERMOE_PLUGIN_TIMEOUT="2")
        seconds.append(computing() - start)
        if seconds[-1] <= WARM * pace():
            break

    loaded = done.stderr.partition("loaded:")[2].split()
    assert done.returncode == 0, done.stderr
    assert not [name for name in loaded if name.startswith("fake_odd")]
    if "--json" in words:
        json.loads(done.stdout)
    assert min(seconds) <= WARM * pace()


def test_version_imports_no_plugin_machinery(ten: Site) -> None:
    """`--version` needs neither argparse nor attrs nor pluggy."""
    loaded = ten.run("--version", code=PROBE).stderr.split()

    assert not {"argparse", "attrs", "attr", "pluggy", "rich"} & set(loaded)
