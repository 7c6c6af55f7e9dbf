"""The registry and the console of a command, created at their first use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace

    from steermoe_core.plugins import Registry
    from steermoe_core.system.terminal import Terminal


class Session:
    """One call of the program.

    :param arguments: the parsed command line, with the flags of every command.
    """

    def __init__(self, arguments: Namespace) -> None:
        self._arguments = arguments

    @cached_property
    def registry(self) -> Registry:
        """The plugins that the flags do not block."""
        from steermoe_core.plugins import load_registry

        arguments = self._arguments
        again = getattr(arguments, "refresh", False)
        return load_registry(arguments.block, no_plugins=arguments.no_plugins, again=again)

    @cached_property
    def known(self) -> Registry:
        """The same without plugins that have not been examined since they changed; examines none."""
        from steermoe_core.plugins import load_registry

        return load_registry(self._arguments.block, no_plugins=self._arguments.no_plugins, known=True)

    @cached_property
    def console(self) -> Terminal:
        """The terminal; plain text if stdout is piped."""
        from steermoe_core.system.terminal import Terminal

        return Terminal()

    @property
    def flags(self) -> list[str]:
        """Flags with which another process loads the same plugins."""
        words = [word for name in self._arguments.block for word in ("--block", name)]
        return [*words, *(["--no-plugins"] if self._arguments.no_plugins else [])]

    @property
    def traceback(self) -> bool:
        """Whether errors are printed with their traceback."""
        return bool(self._arguments.traceback)
