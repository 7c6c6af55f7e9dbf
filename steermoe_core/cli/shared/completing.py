"""Completion of a command line. The shell calls it at every Tab, so it imports little.

An answer is a line ``WORD<tab>MEANING`` per word, or one of these, which the shell itself completes:
``@files .toml`` (files with this ending), ``@files`` (any) and ``@folders``.
"""

from __future__ import annotations

import argparse
import math
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.cli.commands import COMMANDS, bare_parser, command_parser, command_place, flags_parser
from steermoe_core.component import KINDS
from steermoe_core.config.naming import first_line

if TYPE_CHECKING:
    from argparse import Action, ArgumentParser
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from steermoe_core.config.describe.keys import Key
    from steermoe_core.plugins import Registry

#: A word and what it means.
Offer = tuple[str, str]

_FILES, _FOLDERS, _EXPERIMENTS = "@files", "@folders", "@files .toml"
_LONGEST = 72


def split(line: str) -> list[str]:
    """Return the words of a line that ends at the cursor; the last one is incomplete and may be empty."""
    import shlex

    if (len(line) - len(line.rstrip("\\"))) % 2:
        line = line[:-1]  # it would quote the next character
    for closing in ("", "'", '"'):
        try:
            words = shlex.split(line + closing)
        except ValueError:
            continue
        return [*words, ""] if not closing and (not line or line[-1].isspace()) else words
    return [""]  # a line can have no other open end


def answer(words: Sequence[str]) -> Iterator[str]:
    """Yield the completions of the last of some words.

    :param words: those after the program's name, up to the cursor.
    """
    *before, word = words or [""]
    place = command_place(before)
    offers: Iterable[Offer]
    if place is None:
        line = CommandLine("", bare_parser(), before, word)
        offers = _commands(before) if line.action is None and not word.startswith("-") else line.offers()
    elif before[place] in COMMANDS:
        parser = command_parser(before[place])
        offers = CommandLine(before[place], parser, before[:place] + before[place + 1 :], word).offers()
    elif before[place] in dict(_commands(before[:place])):  # a plugin's: it is not imported at every Tab
        line = CommandLine(before[place], flags_parser(), before[:place] + before[place + 1 :], word)
        offers = line.offers() if line.action or word.startswith("-") else [(_FILES, "")]
    else:
        return
    for text, about in offers:
        if text.startswith("@"):
            yield text
        elif text.startswith(word):
            yield f"{text}\t{_short(about)}" if about else text


def _commands(before: Sequence[str]) -> Iterator[Offer]:
    """Yield the built-in commands and those of plugins."""
    from steermoe_core.cli.shared.plugin_commands import groups

    yield from COMMANDS.items()
    for group in groups(before).values():
        yield from group.items()


class CommandLine:
    """A command line with a cursor at its end.

    :ivar action: the flag whose value is completed.
    :ivar given: the values of arguments before the cursor, by the argument's name.
    """

    def __init__(self, command: str, parser: ArgumentParser, before: Sequence[str], word: str) -> None:
        self.command, self.parser, self.word = command, parser, word
        self.given: dict[str, list[str]] = {}
        self.action: Action | None = None
        self._room = 0.0
        for one in before:
            self._take(one)

    def _take(self, word: str) -> None:
        """Record a word: a value of the flag before it, a flag, or a positional argument."""
        if self.action and not word.startswith("-"):
            self._give(self.action, word)
            self._room -= 1
        elif word.startswith("-"):
            flag, equals, value = word.partition("=")
            self.action = self.parser._option_string_actions.get(flag)  # noqa: SLF001 - argparse has no other way
            self._room = 0.0 if equals or self.action is None else _room(self.action)
            if self.action:
                self._give(self.action, *([value] if equals else []))
        elif positional := self.positional:
            self._give(positional, word)
        if self._room <= 0:
            self.action = None

    def _give(self, action: Action, *values: str) -> None:
        self.given.setdefault(action.dest, []).extend(values)

    @property
    def positional(self) -> Action | None:
        """The positional argument at the cursor."""
        bare = (action for action in self.parser._actions if not action.option_strings)  # noqa: SLF001
        return next((one for one in bare if len(self.given.get(one.dest, ())) < _room(one)), None)

    def offers(self) -> Iterator[Offer]:
        """Yield the completions at the cursor."""
        flag, equals, value = self.word.partition("=")
        named = self.parser._option_string_actions.get(flag)  # noqa: SLF001
        if self.action and not self.word.startswith("-"):
            yield from self.values(self.action, self.word)
        elif equals and named:
            for text, about in self.values(named, value):
                yield (text if text.startswith("@") else f"{flag}={text}"), about
        elif self.word.startswith("-"):
            yield from self._flags()
        elif positional := self.positional:
            yield from self.values(positional, self.word)

    def _flags(self) -> Iterator[Offer]:
        """Yield the long flags that are not given yet or may be repeated."""
        for action in self.parser._actions:  # noqa: SLF001
            again = isinstance(action, argparse._AppendAction)  # noqa: SLF001
            for flag in action.option_strings:
                if flag.startswith("--") and (again or action.dest not in self.given):
                    yield flag, action.help or ""

    def values(self, action: Action, word: str) -> Iterable[Offer]:
        """Return the values that an argument may have."""
        if action.choices is not None:
            return [(str(choice), "") for choice in action.choices]
        metavar = action.metavar
        if isinstance(metavar, tuple):
            metavar = metavar[min(len(self.given.get(action.dest, ())), len(metavar) - 1)]
        find = _OF.get((self.command, action.dest)) or _OF.get(("", action.dest)) or _NAMED.get(str(metavar))
        return find(self, word) if find else ()

    @cached_property
    def registry(self) -> Registry:
        """The installed plugins, except those that the line blocks."""
        from steermoe_core.cli.shared.session import Session

        block, none = self.given.get("block", []), "no_plugins" in self.given
        return Session(argparse.Namespace(block=block, no_plugins=none)).registry


def _room(action: Action) -> float:
    """Return how many values an argument takes."""
    if isinstance(action.nargs, int):
        return action.nargs
    return math.inf if action.nargs in ("+", "*") else 1


def _nothing(line: CommandLine, word: str) -> Iterable[Offer]:  # noqa: ARG001 - one signature for all
    return ()


def _kinds(line: CommandLine, word: str) -> Iterable[Offer]:  # noqa: ARG001
    return [(kind, "") for kind in KINDS]


def _names(line: CommandLine, word: str) -> Iterable[Offer]:  # noqa: ARG001
    """Return the components of the kind that the line names."""
    (kind,) = line.given["kind"]
    return [(name, line.registry.get(kind, name).summary) for name in line.registry.names(kind)]


def _only(line: CommandLine, word: str) -> Iterable[Offer]:
    """Return the kinds, then the components of the chosen one."""
    kind = line.given.get("only", [])
    line.given["kind"] = kind
    return _names(line, word) if kind else _kinds(line, word)


def _plugins(line: CommandLine, word: str) -> Iterable[Offer]:  # noqa: ARG001
    from steermoe_core.plugins.discovery import installed

    return [(entry.name, entry.origin) for entry in installed()]


def _distributions(line: CommandLine, word: str) -> Iterable[Offer]:  # noqa: ARG001
    from steermoe_core.plugins.discovery import installed

    return [("steermoe", ""), *((entry.distribution, entry.version) for entry in installed())]


def _runs(line: CommandLine, word: str) -> Iterable[Offer]:  # noqa: ARG001
    """Return the runs in the default folder; if none matches, any folder."""
    found = sorted(path.parent.as_posix() for path in Path("runs").glob("*/status.json"))
    return [(path, "") for path in found if path.startswith(word)] or [(_FOLDERS, "")]


def _splits(line: CommandLine, word: str) -> Iterable[Offer]:  # noqa: ARG001
    """Return the splits on which the runs on the line were scored."""
    runs = [*line.given.get("folder", ()), *line.given.get("runs", ())]
    folders = (path for run in runs for path in Path(run).glob("evaluations/*") if path.is_dir())
    return dict.fromkeys((path.name, "") for path in sorted(folders))


def _settings(line: CommandLine, word: str) -> Iterable[Offer]:
    """Return the keys and values of the experiment on the line, one part of a key at a time."""
    from steermoe_core.config.describe.keys import find

    written, equals, _ = word.partition("=")
    *path, _ = [*written.split("."), ""] if equals else written.split(".")
    key = find(_keys(line), path)
    if equals:
        return [(_FILES, "")] if key.path else [(f"{written}={value}", "") for value in key.values]
    start = "".join(f"{name}." for name in path)
    return [(f"{start}{name}{'.' if one.below else '='}", one.doc) for name, one in key.below.items()]


def _written(line: CommandLine, word: str) -> Iterable[Offer]:  # noqa: ARG001
    """Return the keys and tables that the experiment on the line sets."""
    from steermoe_core.config.text.layers import open_layers
    from steermoe_core.config.text.unset import set_keys
    from steermoe_core.errors import ConfigError

    try:
        return [(key, "") for key in set_keys(open_layers(_files(line)[0]).table)]
    except (IndexError, ConfigError):
        return []


def _files(line: CommandLine) -> list[Path]:
    return [Path(name).expanduser() for dest in ("files", "file") for name in line.given.get(dest, ())]


def _keys(line: CommandLine) -> dict[str, Key]:
    """Return the keys of the first experiment on the line with its other `--set` flags."""
    from steermoe_core.config.describe.keys import keys
    from steermoe_core.config.text.layers import open_layers
    from steermoe_core.config.text.overrides import apply_overrides
    from steermoe_core.errors import ConfigError

    try:
        layers = open_layers(_files(line)[0])
    except (IndexError, ConfigError):
        return keys(line.registry, {})
    apply_overrides(layers, line.given.get("set", ()))
    return keys(line.registry, layers.table)


def _shell(text: str) -> Callable[[CommandLine, str], Iterable[Offer]]:
    return lambda line, word: [(text, "")]  # noqa: ARG005


#: Completions of values, by metavar.
_NAMED = {
    "FILE": _shell(_EXPERIMENTS),
    "HOSTS": _shell(_FILES),
    "FOLDER": _shell(_FOLDERS),
    "DIR": _shell(_FOLDERS),
    "RUN": _runs,
    "KIND": _kinds,
    "DIST": _distributions,
    "KEY=VALUE": _settings,
    "KEY": _written,
}
#: The same for single arguments, of one command or of all.
_OF = {
    ("", "block"): _plugins,
    ("describe", "name"): _names,
    ("check-plugin", "only"): _only,
    ("check-plugin", "set"): _nothing,
    ("transcribe", "sounds"): _shell(_FILES),
    ("ask", "sounds"): _shell(_FILES),
    ("report", "out"): _shell(_FILES),
    ("schema", "output"): _shell(_FILES),
    ("evaluate", "split"): _splits,
    ("routing", "split"): _splits,
    ("results", "split"): _splits,
    ("sweep", "split"): _nothing,
    ("ladder", "split"): _nothing,
}


def _short(text: str) -> str:
    """Return the first line of a text, shortened to fit a menu."""
    line = first_line(text)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
