"""The commands of `steermoe` and their parsers; only the module of the given command is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Mapping, Sequence
    from types import ModuleType
    from typing import Any

#: The commands by what they are for, each with its line of `steermoe --help`. The module of a command is
#: `steermoe_core.cli.<name with underscores>`.
GROUPS = {
    "train": {
        "run": "train and score experiments; resume interrupted runs",
        "sweep": "run every combination of a file's axes and print one table",
        "launch": "run an experiment in several processes, on GPUs or machines",
        "ladder": "run the baselines of a steering experiment and compare them",
        "work": "take free runs of a sweep or ladder, next to other workers",
    },
    "results": {
        "evaluate": "score a trained run again, or rescore its saved predictions",
        "results": "print one table of finished runs, or what differs between them",
        "report": "write an HTML page about runs: scores, curves, audio, routing",
        "certify": "measure what supports a run's results and report what fails",
        "routing": "show what the routers of a run do, by layer and by label",
    },
    "use": {
        "transcribe": "transcribe recordings to text, JSON or subtitles",
        "ask": "ask questions about recordings",
        "push": "upload the adapter of a run to the Hugging Face Hub",
    },
    "plugins": {
        "list-plugins": "list what is installed, from where, healthy or broken",
        "describe": "list the components of a kind, or the keys of a component",
        "matrix": "show which components of two kinds work together",
        "doctor": "diagnose this machine and print the commands that fix it",
        "new-plugin": "create a working plugin with tests, ready to adapt",
        "check-plugin": "check that the components of a plugin keep the contract",
    },
    "files and editor": {
        "check": "report every error in experiment files without running them",
        "config": "print an experiment with every default and its origin",
        "plan": "preview a run: parts, shapes, memory, data, time and cost",
        "data": "summarise the data: counts, lengths, examples, overlap",
        "bench": "measure a training step here, or compute it for a GPU",
        "schema": "write a JSON Schema with which editors check experiments",
        "completion": "print a script for completion in your shell",
    },
}
COMMANDS = {name: text for group in GROUPS.values() for name, text in group.items()}


def command_place(words: Sequence[str]) -> int | None:
    """Return the index of the command: the first word that is neither a flag nor the value of `--block`."""
    takes_value = False
    for index, word in enumerate(words):
        if not takes_value and not word.startswith("-"):
            return index
        takes_value = word == "--block" and not takes_value
    return None


def bare_parser(others: Mapping[str, Mapping[str, str]] | None = None) -> ArgumentParser:
    """Return the parser of a line without a command.

    :param others: further groups of commands, as in `GROUPS`.
    """
    listed = {**GROUPS, **(others or {})}
    width = 2 + max(12, *(len(name) for group in listed.values() for name in group))
    parser = _parser("steermoe", "One TOML file is one experiment; every part is a plugin.")
    parser.usage = "steermoe COMMAND …"
    groups = (
        "\n".join((f"{title}:", *(f"  {name:<{width}}{text}" for name, text in group.items())))
        for title, group in listed.items()
    )
    parser.epilog = "\n\n".join((*groups, "Run `steermoe COMMAND --help` for the flags of a command."))
    parser.add_argument("-V", "--version", action="store_true", help="print the version")
    return parser


def command_module(name: str) -> ModuleType:
    """Return the module of a built-in command, with its `add_arguments` and `run`."""
    from importlib import import_module

    return import_module(f"steermoe_core.cli.{name.replace('-', '_')}")


def command_parser(name: str) -> ArgumentParser:
    """Return the parser of a built-in command."""
    return parser_of(name, command_module(name), COMMANDS[name])


def parser_of(name: str, code: Any, summary: str) -> ArgumentParser:
    """Return the parser of a command.

    :param code: its module or object; the description is what its docstring says after "`steermoe NAME …`: ".
    :param summary: the description where the docstring has another form.
    """
    from inspect import cleandoc

    text = cleandoc(code.__doc__ or "")
    about = text.partition(": ")[2].strip() if text.startswith("`steermoe ") else summary
    parser = _parser(f"steermoe {name}", about[:1].upper() + about[1:])
    code.add_arguments(parser)
    return parser


def flags_parser() -> ArgumentParser:
    """Return a parser of nothing but the flags that every command takes."""
    return _parser("steermoe", "", add_help=False)


def _parser(program: str, description: str, *, add_help: bool = True) -> ArgumentParser:
    """Return a parser with the flags that every command takes."""
    from argparse import ArgumentParser, RawDescriptionHelpFormatter
    from textwrap import fill

    class Formatter(RawDescriptionHelpFormatter):
        def _fill_text(self, text: str, width: int, indent: str) -> str:
            """Wrap each paragraph; keep those with indented lines, such as lists."""
            paragraphs = text.split("\n\n")
            return "\n\n".join(
                one if "\n " in one else fill(one, width, initial_indent=indent, subsequent_indent=indent)
                for one in paragraphs
            )

    # Before 3.13 a subclass is the only way to raise instead of printing and exiting.
    class Parser(ArgumentParser):
        def error(self, message: str) -> None:  # type: ignore[override]
            from steermoe_core.errors import UsageError

            raise UsageError(f"{message} (see {self.prog} --help)")  # noqa: EM102, TRY003

    parser = Parser(
        prog=program,
        description=description,
        allow_abbrev=False,
        formatter_class=Formatter,
        add_help=add_help,
    )
    common = parser.add_argument_group("every command")
    common.add_argument(
        "--block",
        action="append",
        default=[],
        metavar="NAME",
        help="do not import this plugin or distribution (repeatable)",
    )
    common.add_argument("--no-plugins", action="store_true", help="import only the built-in components")
    common.add_argument("--traceback", action="store_true", help="print the traceback of an error")
    common.add_argument("--pdb", action="store_true", help="start the debugger at an error")
    return parser


def parsed(parser: ArgumentParser, words: Sequence[str]) -> Namespace:
    """Return the arguments of a line.

    :raises UsageError: an argument does not exist; the message suggests a similar flag.
    """
    arguments, rest = parser.parse_known_intermixed_args(words)
    if rest:
        import re

        from steermoe_core.errors import UsageError
        from steermoe_core.suggest import did_you_mean

        flags = set(re.findall(r"--[\w-]+", parser.format_help()))
        near = did_you_mean(rest[0].partition("=")[0], flags) if rest[0].startswith("-") else ""
        command = parser.prog.removeprefix("steermoe ")
        msg = f"{command} has no argument {rest[0]}{near} (see {parser.prog} --help)"
        raise UsageError(msg)
    return arguments
