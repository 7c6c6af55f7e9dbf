"""The program `steermoe`: runs a command and turns its exceptions into messages and exit codes."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from steermoe_core.cli.commands import (
    COMMANDS,
    bare_parser,
    command_module,
    command_parser,
    command_place,
    parsed,
)
from steermoe_core.system.printing import complain, say
from steermoe_core.system.signals import handled, interrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    :param argv: the arguments; those of the process by default.
    :returns: the exit code (`steermoe_core.errors.ExitCode`).
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words in (["--version"], ["-V"]):
        return _print_version()
    try:
        return _guarded(lambda: _dispatch(words), words)
    except BrokenPipeError:  # the reader, such as `| head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _print_version() -> int:
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("steermoe")
    except PackageNotFoundError:
        number = "unknown (not installed)"
    say(f"steermoe {number}")
    return 0


def _dispatch(words: list[str]) -> int:
    if words[:1] == ["completion"] and words[1:2] in (["--words"], ["--line"]):
        return _complete(words[1:])
    place = command_place(words)
    if place is None:
        return _without_command(words)
    name, others = words[place], words[:place] + words[place + 1 :]
    if name not in COMMANDS:
        from steermoe_core.cli.shared.plugin_commands import run

        return run(name, others)
    arguments = parsed(command_parser(name), others)
    from steermoe_core.cli.shared.session import Session

    return int(command_module(name).run(arguments, Session(arguments)))


def _complete(words: list[str]) -> int:
    """Print completions for a shell. It asks at every Tab, so no session is created."""
    from steermoe_core.cli.shared.completing import answer, split

    for line in answer(split(words[1])[1:] if words[0] == "--line" else words[1:]):
        say(line)
    return 0


def _without_command(words: list[str]) -> int:
    from steermoe_core.cli.shared.plugin_commands import groups
    from steermoe_core.errors import UsageError

    parser = bare_parser(groups(words))
    if parsed(parser, words).version:
        return _print_version()
    message = f"which command?\n\n{parser.format_help()}".rstrip()
    raise UsageError(message)


def _guarded(call: Callable[[], int], words: list[str]) -> int:
    """Run a command and turn an exception into a message and an exit code."""
    try:
        with handled(interrupt):
            code = call()
            sys.stdout.flush()
    except SystemExit as stop:  # argparse after --help
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        complain("steermoe: interrupted")
        return 130
    except Exception as error:  # noqa: BLE001 - this is where every error becomes an exit code
        return _report(error, words)
    return code


def _report(error: Exception, words: list[str]) -> int:
    """Print an error; an unexpected one always with its traceback."""
    from steermoe_core.errors import ExitCode, SteermoeError

    expected = isinstance(error, SteermoeError)
    if "--traceback" in words or not expected:
        import traceback

        complain("".join(traceback.format_exception(error)).rstrip())
    if "--pdb" in words:
        import pdb  # noqa: T100 - the user asked for it

        pdb.post_mortem(error.__traceback__)
    if isinstance(error, SteermoeError):
        located = getattr(error, "problems", ())
        complain(error if located else f"steermoe: {error}")
        return int(error.exit_code)
    complain("steermoe: this is a bug in steermoe or in a plugin; the traceback above shows where")
    return int(ExitCode.RUN_FAILED)
