"""The commands of `steermoe`: finds one's module and imports only that; parsers of command lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence
    from types import ModuleType

#: Every command and its line of help; the module is `steermoe_core.cli.<name with underscores>`.
COMMANDS = {
    "run": "train and score experiments; go on with interrupted ones",
    "sweep": "run all combinations of the axes of a file, go on with them, print their table",
    "ladder": "run the baselines of a steering experiment, and print what each rung adds",
    "launch": "run an experiment in several processes, on several GPUs or machines",
    "data": "what an experiment trains on and scores: counts, lengths, examples, overlap; no model is loaded",
    "plan": "what a run would be: parts, shapes, parameters, memory, data; no weight is loaded",
    "check": "find every mistake in experiment files, without running them",
    "config": "print an experiment with every default, and where each value came from",
    "evaluate": "score a trained run again",
    "score": "score a run again from its answers alone, by its own rules or by others; no model is loaded",
    "certify": "measure on a trained run what its numbers rest on",
    "routing": "what the routers of a trained run do, by layer and by label, and what depends on them",
    "results": "one table over finished runs; what differs between them, clip by clip",
    "report": "one page about runs: scores, curves, the worst clips to listen to, routing, settings",
    "transcribe": "write down what is said in recordings: text, JSON or subtitles",
    "ask": "ask questions about sounds",
    "push": "put a run's adapter on the Hugging Face hub, with a page made from the run",
    "list-plugins": "show what is installed, from where, healthy or broken",
    "doctor": "find what is wrong on this machine, with the command that mends it",
    "describe": "show the components of a kind, or every key of one component",
    "matrix": "show which parts of two kinds work together",
    "schema": "write a JSON Schema, with which an editor completes and checks experiment files",
    "completion": "print a script with which a shell completes commands, flags, components and keys",
    "new-plugin": "write a plugin that works, with tests, to be made your own",
    "check-plugin": "find out whether the parts of a plugin keep the contract",
}


def command_place(words: Sequence[str]) -> int | None:
    """Return the index of the command: the first word that is neither a flag nor the value of `--block`."""
    takes_value = False
    for index, word in enumerate(words):
        if not takes_value and not word.startswith("-"):
            return index
        takes_value = word == "--block" and not takes_value
    return None


def bare_parser() -> ArgumentParser:
    """Return the parser of a line without a command."""
    parser = _parser("steermoe", "One TOML file is one experiment; every part is a plugin.")
    parser.usage = "steermoe COMMAND …"
    lines = "\n".join(f"  {name:<14}{text}" for name, text in COMMANDS.items())
    parser.epilog = f"commands:\n{lines}\n\nsteermoe COMMAND --help tells more about one."
    parser.add_argument("-V", "--version", action="store_true", help="print the version")
    return parser


def command_module(name: str) -> ModuleType:
    """Return the module of a command, with its `add_arguments` and `run`.

    :raises UsageError: there is no such command.
    """
    from importlib import import_module

    if name not in COMMANDS:
        from steermoe_core.errors import UsageError
        from steermoe_core.suggest import did_you_mean

        msg = f'there is no command "{name}"{did_you_mean(name, COMMANDS)} (steermoe --help lists all)'
        raise UsageError(msg)
    return import_module(f"steermoe_core.cli.{name.replace('-', '_')}")


def command_parser(name: str) -> ArgumentParser:
    """Return the parser of one command, its description taken from the module's docstring.

    :raises UsageError: there is no such command.
    """
    module = command_module(name)
    about = (module.__doc__ or "").partition(": ")[2].strip() or COMMANDS[name]
    parser = _parser(f"steermoe {name}", about[:1].upper() + about[1:])
    module.add_arguments(parser)
    return parser


def _parser(program: str, description: str) -> ArgumentParser:
    """Return a parser with the flags that every command takes."""
    from argparse import ArgumentParser, RawDescriptionHelpFormatter

    # Before 3.13 a subclass is the only way to raise instead of printing and exiting.
    class Parser(ArgumentParser):
        def error(self, message: str) -> None:  # type: ignore[override]
            from steermoe_core.errors import UsageError

            raise UsageError(f"{message} ({self.prog} --help tells more)")  # noqa: EM102, TRY003

    parser = Parser(
        prog=program, description=description, allow_abbrev=False, formatter_class=RawDescriptionHelpFormatter
    )
    common = parser.add_argument_group("every command")
    common.add_argument(
        "--block",
        action="append",
        default=[],
        metavar="NAME",
        help="do not import this plugin or distribution",
    )
    common.add_argument("--no-plugins", action="store_true", help="import nothing but the built-in parts")
    common.add_argument("--traceback", action="store_true", help="show where an error comes from")
    common.add_argument("--pdb", action="store_true", help="open the debugger where an error happens")
    return parser


def parsed(parser: ArgumentParser, words: Sequence[str]) -> Namespace:
    """Return the arguments of a line.

    :raises UsageError: an argument does not exist, told with the flag that was meant, or has no place.
    """
    arguments, rest = parser.parse_known_intermixed_args(words)
    if rest:
        import re

        from steermoe_core.errors import UsageError
        from steermoe_core.suggest import did_you_mean

        flags = set(re.findall(r"--[\w-]+", parser.format_help()))
        near = did_you_mean(rest[0].partition("=")[0], flags) if rest[0].startswith("-") else ""
        command = parser.prog.removeprefix("steermoe ")
        msg = f"{command} has no argument {rest[0]}{near} ({parser.prog} --help tells more)"
        raise UsageError(msg)
    return arguments
