"""The checks of a command: its record, its arguments, its help, and one call of it."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import ArgumentParser
from typing import TYPE_CHECKING, ClassVar
from unittest import SkipTest

from steermoe_core.errors import ExitCode, SteermoeError
from steermoe_core.plugins.examine import HEAVY
from steermoe_core.testing.suite import AnySuite, needs

if TYPE_CHECKING:
    from steermoe_core.component import Command

#: Characters of a summary that fit on a line of `steermoe --help`.
_LONGEST = 72
_SECONDS = 60


class CommandSuite(AnySuite):
    """Checks of a command that a plugin adds.

    :cvar arguments: words with which the command is called once; None: it is not called.
    """

    kind = "command"
    arguments: ClassVar[tuple[str, ...] | None] = None

    @property
    def record(self) -> Command:
        """The record that the plugin yields."""
        return self.registry.command(self.component)

    @property
    def place(self) -> str:
        """Where the code of the command is."""
        return self.record.code

    @needs("found")
    def test_summary(self) -> None:
        """The summary is one line that fits in `steermoe --help`."""
        text = self.record.summary
        right = 0 < len(text) <= _LONGEST and text.isprintable() and text == text.strip()
        self.expect(right, f"summary is {text!r}, expected one line of at most {_LONGEST} characters")

    @needs("found")
    def test_code(self) -> None:
        """The code can be imported and has `add_arguments` and `run`."""
        try:
            code = self.registry.command_code(self.component)
        except SteermoeError as error:
            raise self.wrong(str(error)) from None
        for name in ("add_arguments", "run"):
            self.expect(callable(getattr(code, name, None)), f"the code has no function {name}")

    @needs("code")
    def test_arguments(self) -> None:
        """Every argument has a help text."""
        parser = ArgumentParser(add_help=False)
        self.registry.command_code(self.component).add_arguments(parser)
        bare = [action.dest for action in parser._actions if not action.help]  # noqa: SLF001 - argparse has no other way
        self.expect(not bare, f"{', '.join(bare)} has no help: add_argument(…, help=…)")

    @needs("arguments")
    def test_help(self) -> None:
        """`--help` works: no flag is one of those that every command has."""
        done = self._helped()
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        self.expect(done.returncode == ExitCode.OK, f"`steermoe {self.component} --help` fails: {reason[0]}")

    @needs("help")
    def test_help_light(self) -> None:
        """`--help` imports nothing heavy."""
        modules = {line.rpartition("|")[2].strip() for line in self._helped().stderr.splitlines()}
        heavy = [name for name in HEAVY if name in modules]
        self.expect(
            not heavy,
            f"`steermoe {self.component} --help` imports {', '.join(heavy)}: import it in the function that "
            "needs it",
        )

    @needs("help")
    def test_runs(self) -> None:
        """Called with the suite's arguments it ends with exit code 0."""
        if self.arguments is None:
            msg = "set `arguments` in the suite to call the command"
            raise SkipTest(msg)
        done = self._called(*self.arguments)
        said = done.stderr.strip().splitlines()[-1:] or ["it prints no reason"]
        line = " ".join(("steermoe", self.component, *self.arguments))
        self.expect(
            done.returncode == ExitCode.OK, f"`{line}` ends with exit code {done.returncode}: {said[0]}"
        )

    def _helped(self) -> subprocess.CompletedProcess[str]:
        """Return the call of `--help`; its stderr lists what Python imports."""
        kept: dict[str, subprocess.CompletedProcess[str]] = self._shared.__dict__.setdefault("helped", {})
        if "help" not in kept:
            kept["help"] = self._called("--help", python=("-X", "importtime"))
        return kept["help"]

    def _called(self, *words: str, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Call the command in a process of its own, which finds the same plugins."""
        return subprocess.run(  # noqa: S603 - this very interpreter
            [sys.executable, *python, "-m", "steermoe_core", self.component, *words],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            cwd=self.folder,
        )
