"""The reference of the command line, generated from the parsers of the commands.

``python -m docs.generate.commands > docs/reference/commands.md`` updates the page.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from steermoe_core.cli.commands import GROUPS, command_parser
from steermoe_core.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_INTRODUCTION = """\
# Commands

This page is generated: `python -m docs.generate.commands > docs/reference/commands.md`.

Results are printed to stdout, notes and progress to stderr. `steermoe COMMAND --help` prints the section of a
command.
"""

_SHARED = """\
## Every command

These flags may precede or follow the command. The environment variable `STEERMOE_BLOCK=NAME,NAME` has the
same effect as `--block`. `steermoe --version` (or `-V`) prints the version.
"""

_CODES = """\
## Exit codes

| code | meaning |
| --- | --- |
"""

_MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.RUN_FAILED: "the run failed: its data, a checkpoint, a loss that is not finite",
    ExitCode.USAGE: "the experiment file or the command line is invalid",
    ExitCode.PLUGIN: "a required component is missing, broken or blocked",
    ExitCode.ENVIRONMENT: "the machine lacks a package, weights, memory, …; a launched process was killed",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C, SIGTERM or SIGHUP; the same command resumes",
}


def reference() -> str:
    """Return the page as Markdown."""
    sections = []
    for title, group in GROUPS.items():
        sections.append(f"## {title.capitalize()}\n")
        sections += [_section(name, command_parser(name)) for name in group]
    shared = "".join(_table(_shared(command_parser("run"))))
    codes = "".join(f"| {int(code)} | {_MEANINGS[code]} |\n" for code in ExitCode)
    return "\n".join([_INTRODUCTION, *sections, _SHARED, shared, _CODES + codes])


def _section(name: str, parser: argparse.ArgumentParser) -> str:
    own = [action for action in _actions(parser) if action not in _shared(parser)]
    usage = " ".join(["steermoe", name, *map(_usage, own)])
    table = "".join(_table(own))
    return f"### `{name}`\n\n{parser.description}\n\n```text\n{usage}\n```\n\n{table}"


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments, positional ones first."""
    actions = [action for action in parser._actions if action.dest != "help"]  # noqa: SLF001 - argparse has no other way
    yield from (action for action in actions if not action.option_strings)
    yield from (action for action in actions if action.option_strings)


def _shared(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    group = next(group for group in parser._action_groups if group.title == "every command")  # noqa: SLF001
    return group._group_actions  # noqa: SLF001


def _usage(action: argparse.Action) -> str:
    if not action.option_strings:
        name = _value(action)
        return {"+": f"{name}…", "?": f"[{name}]"}.get(str(action.nargs), name)
    repeated = "…" if isinstance(action, argparse._AppendAction) else ""  # noqa: SLF001
    return f"[{_spelled(action)}]{repeated}"


def _spelled(action: argparse.Action) -> str:
    if not action.option_strings:
        return _value(action)
    flag = ", ".join(action.option_strings)
    return flag if action.nargs == 0 else f"{flag} {_value(action)}"


def _value(action: argparse.Action) -> str:
    """Return the name of an argument's value in `--help`: its metavar, its choices or its dest."""
    if action.metavar is not None:
        return str(action.metavar)
    return action.dest.upper() if action.choices is None else f"{{{','.join(map(str, action.choices))}}}"


def _table(actions: Iterable[argparse.Action]) -> Iterator[str]:
    yield "| argument | meaning |\n| --- | --- |\n"
    for action in actions:
        yield f"| `{_spelled(action)}` | {action.help} |\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
