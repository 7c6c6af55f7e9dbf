"""The suite of commands: one that is right passes it, and each check has a command that it catches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from steermoe_core.plugins import load_registry
from steermoe_core.testing import CommandSuite
from steermoe_core.testing.runner import results, suite_of
from steermoe_core.testing.suite import checks

if TYPE_CHECKING:
    from conftest import Site

OFFER = """
from steermoe_core import Command, hookimpl

@hookimpl
def steermoe_commands():
    yield Command(name="odd", api=1, summary={summary!r}, code="fake_odd_code")
"""
RIGHT = """
def add_arguments(parser):
    parser.add_argument("--code", type=int, default=0, help="the exit code")

def run(args, session):
    return args.code
"""
#: Source of the command, its summary, and the check that catches it.
WRONG = {
    "long": (RIGHT, "word " * 20, "summary"),
    "no run": ("def add_arguments(parser): ...", "fine", "code"),
    "no help": (RIGHT.replace(', help="the exit code"', ""), "fine", "arguments"),
    "flag of every command": (RIGHT.replace("--code", "--pdb"), "fine", "help"),
    "heavy": ("import numpy\n" + RIGHT, "fine", "help_light"),
    "fails": (RIGHT.replace("return args.code", "raise ValueError"), "fine", "runs"),
}


def failed(site: Site, source: str, summary: str) -> set[str]:
    """Return the checks that a command fails."""
    site.add("odd", OFFER.format(summary=summary))
    (site.folder / "fake_odd_code.py").write_text(source, encoding="utf-8")
    suite = suite_of(load_registry(), "command", "odd", {})
    suite.arguments = ()
    return {one.check for one in results(suite) if one.status == "failed"}


def test_a_right_command_passes(site: Site) -> None:
    """Every check."""
    assert failed(site, RIGHT, "fine") == set()


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_command_fails_its_own_check_alone(case: str, site: Site) -> None:
    """The checks that build on it are skipped."""
    source, summary, check = WRONG[case]
    assert failed(site, source, summary) == {check}


def test_every_check_is_known_to_fail() -> None:
    """But for those that all kinds share."""
    assert set(checks(CommandSuite)) - {"found", "import_light"} == {check for *_, check in WRONG.values()}


class TestBuiltin(CommandSuite):
    """A command of the engine is held to the same rules."""

    component = "list-plugins"
    arguments = ("--json",)
