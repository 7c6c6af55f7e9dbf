"""What all tests share: plugin distributions made on disk, as pip would leave them, and runs of a rig."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.rig import Rig, Trained

ROOT = Path(__file__).parent.parent
#: Files that take a minute or more, the longest first.
LONG = (
    "tests/benchmarks/test_benchmarks.py",
    "tests/docs/test_pages.py",
    "tests/run/test_full_size.py",
    "tests/study/test_launch.py",
    "tests/test_matrix.py",
    "tests/run/test_interrupted.py",
    "tests/run/test_decoder_adapters.py",
    "tests/run/test_touched.py",
    "plugins/steermoe-pocket/tests/test_real.py",
    "tests/run/test_paper.py",
    "plugins/steermoe-slurm/tests/test_slurm.py",
    "tests/cli/test_new_plugin.py",
    "tests/run/test_signals.py",
)

HEALTHY = """
from steermoe_core import Component, hookimpl

@hookimpl
def steermoe_encoders():
    yield Component(
        name="{name}", api=1, summary="made up",
        config="steermoe_core.model.config:PoolConfig", factory="nowhere:Nothing",
    )
"""


# No test depends on how the terminal or the CI service that started it wants its output.
for _name in ("CI", "COLUMNS", "FORCE_COLOR", "LINES", "NO_COLOR", "TTY_COMPATIBLE"):
    os.environ.pop(_name, None)
os.environ["TERM"] = "xterm-256color"

settings.register_profile("steermoe", deadline=None)  # a busy machine breaks no property
settings.load_profile("steermoe")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start long files first, so that no process works alone at the end."""
    ranks = {name: rank for rank, name in enumerate(LONG)}
    items.sort(key=lambda item: ranks.get(item.nodeid.partition("::")[0], len(LONG)))


class Site:
    """A folder on `sys.path` that plugin distributions are written to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def add(
        self,
        name: str,
        source: str | None = None,
        *,
        distribution: str | None = None,
        version: str = "1.0",
        module: str | None = None,
        value: str | None = None,
    ) -> str:
        """Write a distribution whose entry point `name` is a module; return the module's name.

        :param source: the module's text; None writes no module; HEALTHY by default through `healthy`.
        """
        module = module or f"fake_{name.replace('-', '_')}"
        if source is not None:
            (self.folder / f"{module}.py").write_text(dedent(source), encoding="utf-8")
        self.info(distribution or f"steermoe-{name}", version, f"[steermoe]\n{name} = {value or module}\n")
        return module

    def healthy(self, name: str, component: str | None = None, **facts: str) -> str:
        """Write a plugin that offers one encoder, called like the plugin if nothing else is said."""
        return self.add(name, HEALTHY.format(name=component or name), **facts)

    def info(self, distribution: str, version: str, entry_points: str, requires: Iterable[str] = ()) -> Path:
        """Write only a distribution's metadata; return its folder."""
        folder = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        text = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        text += "".join(f"Requires-Dist: {one}\n" for one in requires)
        (folder / "METADATA").write_text(text, encoding="utf-8")
        (folder / "entry_points.txt").write_text(entry_points, encoding="utf-8")
        return folder

    def run(
        self, *words: str, code: str | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `steermoe WORDS…` (or Python code) in a fresh interpreter that sees this folder."""
        what = ["-m", "steermoe_core"] if code is None else ["-c", code]
        return subprocess.run(
            [sys.executable, *what, *words],
            env={**os.environ, "PYTHONPATH": str(self.folder), "COLUMNS": "100", **environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Yield an empty site folder at the head of `sys.path`; what was imported from it is forgotten after."""
    monkeypatch.delenv("STEERMOE_BLOCK", raising=False)
    place = Site(tmp_path / "site")
    monkeypatch.syspath_prepend(str(place.folder))
    known = set(sys.modules)
    yield place
    for name in set(sys.modules) - known:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture(scope="session")
def decoder_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of a random language model of width 32, written once."""
    import torch

    from tests.parts import save_decoder

    torch.set_num_threads(1)
    return save_decoder(tmp_path_factory.mktemp("decoder"))


@pytest.fixture(scope="session")
def rig_plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the rig's plugin, which is examined once in a session."""
    from tests.rig import PLUGIN

    site = Site(tmp_path_factory.mktemp("rig") / "site")
    site.add("rig", PLUGIN)
    return site.folder


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a cache folder for this test alone, empty but for what plugins offer."""
    from steermoe_core import cache_folder

    plugins = cache_folder() / "plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "plugins").symlink_to(plugins)
    monkeypatch.setenv("STEERMOE_CACHE", str(folder))
    return folder


@pytest.fixture
def rig(
    site: Site, rig_plugin: Path, decoder_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Rig:
    """Return a whole experiment on tiny parts."""
    import torch

    from tests.rig import Rig

    for name in ("RIG", "RIG_HOOK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(rig_plugin))
    torch.set_num_threads(1)
    return Rig(site, rig_plugin, decoder_folder, tmp_path)


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Trained]:
    """Return a function that trains a rig's experiment, with some changed keys, once in a session."""
    from tests.rig import Trained

    @cache
    def train(*sets: str) -> Trained:
        return Trained(tmp_path_factory.mktemp("trained") / "tiny", sets)

    return train


@pytest.fixture
def finished(rig: Rig, trained_once: Callable[..., Trained], capsys: pytest.CaptureFixture[str]) -> Path:
    """Return the folder of the rig's finished run; what training printed is forgotten."""
    run = trained_once().copied(rig)
    capsys.readouterr()
    return run


@pytest.fixture
def scored(rig: Rig, trained_once: Callable[..., Trained]) -> Path:
    """Return a copy of a finished run for tests that only read folders; its name is not that of a new run."""
    return trained_once().copied(rig).rename(rig.runs / "tiny")
