"""An environment as a stranger has it: a wheel of steermoe, what it asks for, nothing of this checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from steermoe_core.plugins.discovery import normal
from tests.docs.pages import ROOT

#: What a wheel is built from.
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "steermoe_core")
PIP = (sys.executable, "-m", "pip", "--quiet", "wheel", "--no-deps", "--no-index", "--no-build-isolation")


class Fresh:
    """A virtual environment with a wheelhouse beside it, and a working directory.

    Packages that take long to install are not installed again: the environment sees those that the wheel asks
    for, and what they ask for, one by one. Editable installs, other plugins and tools stay outside.

    :param place: a folder that is empty or not there.
    """

    def __init__(self, place: Path) -> None:
        self.home, self.work, self.wheels = place / "home", place / "work", place / "wheels"
        for folder in (self.home, self.work):
            folder.mkdir(parents=True)
        wheel = build_wheel(self.wheels)
        venv.create(self.work / ".venv", with_pip=False)
        (self.site,) = (self.work / ".venv").glob("lib/python*/site-packages")
        borrowed = place / "borrowed"
        borrow(borrowed, *map(Requirement, ("pip", "pytest", "setuptools")), *asked(wheel))
        (self.site / "borrowed.pth").write_text(f"{borrowed}\n", encoding="utf-8")
        for name in ("pip", "pytest"):  # a borrowed package has no command
            command = self.work / ".venv" / "bin" / name
            command.write_text(f'#!/bin/sh\nexec python -m {name} "$@"\n', encoding="utf-8")
            command.chmod(0o755)

    def run(self, words: str) -> subprocess.CompletedProcess[str]:
        """Run a line of a console; output and errors come together, as a reader sees them."""
        bash = shutil.which("bash") or "bash"
        return subprocess.run(
            [bash, "-c", words],
            env=self._environment(),
            cwd=self.work,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=250,
        )

    def _environment(self) -> dict[str, str]:
        """Return variables that let pip find the wheel, and nothing of the environment around."""
        kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        return {
            **kept,
            "PATH": f"{self.work / '.venv' / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin",
            "HOME": str(self.home),
            "COLUMNS": "100",
            "OMP_NUM_THREADS": "1",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_NO_BUILD_ISOLATION": "0",  # pip reads it as the value of `build isolation`
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }


def build_wheel(folder: Path) -> Distribution:
    """Build steermoe from a copy of its sources, which stay clean; return what the wheel says of itself."""
    copy = folder.with_name("sources")
    copy.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy)
    subprocess.run([*PIP, "--wheel-dir", folder, copy], check=True, timeout=200)
    (wheel,) = folder.iterdir()
    (info,) = (entry for entry in zipfile.Path(wheel).iterdir() if entry.name.endswith(".dist-info"))
    return PathDistribution(info)


def asked(found: Distribution, extra: str = "") -> list[Requirement]:
    """Return what a distribution asks for on this machine."""
    wanted = map(Requirement, found.requires or ())
    return [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": extra})]


def borrow(folder: Path, *wanted: Requirement) -> None:
    """Link the files of installed distributions, and of all that they ask for, into a folder."""
    folder.mkdir()
    for name in _closure(wanted):
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            if not top.endswith(".pth") and not (folder / top).exists():
                (folder / top).symlink_to(Path(str(found.locate_file(top))).resolve())


def _closure(wanted: tuple[Requirement, ...]) -> set[str]:
    todo, seen = list(wanted), set[tuple[str, str]]()
    while todo:
        one = todo.pop()
        for extra in {"", *one.extras}:
            if (key := (normal(one.name), extra)) not in seen:
                seen.add(key)
                todo += asked(distribution(one.name), extra)
    return {name for name, _ in seen}
