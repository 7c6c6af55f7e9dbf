"""A suite in the tests of a plugin, as its author sees it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from steermoe_core import testing

if TYPE_CHECKING:
    from conftest import Site

ROOT = Path(__file__).parents[2]
PLUGIN = '''
import attrs
from steermoe_core import Component, hookimpl

@attrs.frozen(kw_only=True)
class Settings:
    """A router that knows one answer.

    :param gate: it.
    """

    gate: float

@hookimpl
def steermoe_routers():
    factory = "constant:Constant"
    yield Component(name="constant", api=1, summary="", config="fake_constant:Settings", factory=factory)
'''
ROUTER = """
import torch
from steermoe_core import Router

class Constant(Router):
    def __init__(self, config, width, experts, layers):
        super().__init__()
        self.gate = torch.nn.Parameter(torch.full((experts,), config.gate))

    def forward(self, hidden, row):
        return (self.gate.detach() + 0.0 * hidden.sum()).expand(*hidden.shape[:-1], -1)
"""
TESTS = """
from steermoe_core.testing import RouterSuite

class TestConstant(RouterSuite):
    component = "constant"
    settings = {"gate": 0.5}

class TestFromAFile(RouterSuite):
    component = "constant"

    def settings(self, folder):
        (folder / "gate").write_text("0.25")
        return {"gate": float((folder / "gate").read_text())}

class TestUnset(RouterSuite):
    component = "constant"
"""


@pytest.fixture
def printed(site: Site) -> str:
    """Return what pytest prints of three suites."""
    site.add("constant", PLUGIN)
    (site.folder / "constant.py").write_text(ROUTER)
    (site.folder / "test_conformance.py").write_text(TESTS)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-rfs",
            "--tb=short",
            "-p",
            "no:cacheprovider",
            "test_conformance.py",
        ],
        env={**os.environ, "PYTHONPATH": f"{site.folder}{os.pathsep}{ROOT}", "COLUMNS": "300"},
        cwd=site.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def test_failures_are_sentences(printed: str) -> None:
    """Each says what was expected and found, and where to look."""
    found = [line for line in printed.splitlines() if line.startswith("E ")]

    assert len(found) == 3, printed
    assert (
        "no gradient from the gates reaches ['gate'], so it never learns: use it without detach or argmax "
        '(router "constant", constant:Constant)'
    ) in found[0]
    assert 'the key "gate" is missing in [router]; give them in the suite\'s `settings`' in found[2]
    assert "test_conformance.py::TestFromAFile::test_gradients" in printed


def test_what_builds_on_a_failure_is_skipped(printed: str) -> None:
    """With the check that it waits for."""
    assert "not judged until the check builds passes" in printed
    assert "31 passed" in printed


def test_every_suite_can_be_imported() -> None:
    """By its public name; a name that is none says so."""
    assert all(isinstance(getattr(testing, name), type) for name in testing.__all__)
    assert set(testing.__all__) <= set(dir(testing))
    with pytest.raises(AttributeError, match="no attribute 'PluginSuite'"):
        testing.PluginSuite  # noqa: B018
