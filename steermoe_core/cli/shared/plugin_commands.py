"""Commands of plugins: listed by distribution, and run."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from steermoe_core.cli.commands import COMMANDS, flags_parser, parsed, parser_of
from steermoe_core.cli.shared.session import Session
from steermoe_core.component import COMMAND
from steermoe_core.errors import PluginError, SteermoeError, UsageError
from steermoe_core.plugins.quarantine import described

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.plugins import Registry


def groups(words: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the commands of plugins with their summaries, by distribution; no plugin is examined for it.

    :param words: the command line, with the flags that block plugins.
    """
    found: dict[str, dict[str, str]] = {}
    for plugin in _session(words).known.plugins:
        own = {one.name: one.summary for one in plugin.commands if one.name not in COMMANDS}
        if own:
            found.setdefault(f"from {plugin.origin}", {}).update(own)
    return found


def run(name: str, words: Sequence[str]) -> int:
    """Run a command of a plugin.

    :param words: the command line without the command.
    :returns: its exit code.
    :raises UsageError: there is no such command.
    :raises PluginError: its plugin is broken, or its code fails.
    """
    session = _session(words)
    registry = session.registry
    if name not in registry.names(COMMAND):
        raise _unknown(name, registry)
    with _named(f'the command "{name}" ({registry.plugin_of(COMMAND, name).origin})'):
        code = registry.command_code(name)
        arguments = parsed(parser_of(name, code, registry.command(name).summary), words)
        return _exit_code(code.run(arguments, session))


def _session(words: Sequence[str]) -> Session:
    return Session(flags_parser().parse_known_args(words)[0])


def _unknown(name: str, registry: Registry) -> SteermoeError:
    """Return the error of a command that no active plugin has."""
    from steermoe_core.suggest import did_you_mean

    for plugin in registry.absent(COMMAND, name):
        if plugin.withheld:
            hint = f"; {plugin.hint}" if plugin.hint else ""
            return PluginError(
                f'the command "{name}" is not available: "{plugin.name}" ({plugin.origin}) is '
                f"{plugin.status}: {plugin.reason}{hint}"
            )
    near = did_you_mean(name, registry.names(COMMAND))
    blocked = [plugin.name for plugin in registry.plugins if plugin.status == "blocked"]
    note = f"; not searched: {', '.join(blocked)} (blocked)" if blocked else ""
    return UsageError(f'there is no command "{name}"{near} (steermoe --help lists all{note})')


@contextmanager
def _named(whose: str) -> Iterator[None]:
    """Turn whatever a plugin's code raises into an error with the plugin's distribution.

    :raises PluginError: the code raised something that is not meant for the user.
    """
    try:
        yield
    except (SteermoeError, KeyboardInterrupt, BrokenPipeError):
        raise
    except BaseException as error:
        if isinstance(error, SystemExit) and isinstance(error.code, int | None):
            raise  # `--help`, or an exit code of its own
        msg = f"{whose} failed: {described(error)}; --traceback prints the traceback"
        raise PluginError(msg) from error


def _exit_code(returned: Any) -> int:
    """Return the exit code that a command returned; None is 0, as for `sys.exit`."""
    if returned is None or isinstance(returned, int):
        return int(returned or 0)
    msg = f"run() returned {type(returned).__name__}, expected an exit code"
    raise TypeError(msg)
