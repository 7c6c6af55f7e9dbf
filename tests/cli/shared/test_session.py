"""One call of the program: its plugins, and the flags that make another process see the same ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.commands import command_parser, parsed
from steermoe_core.cli.shared.session import Session

if TYPE_CHECKING:
    from conftest import Site


def session(*words: str) -> Session:
    """Return the session of a call of `list-plugins`."""
    return Session(parsed(command_parser("list-plugins"), words))


@pytest.mark.parametrize(
    "flags", [[], ["--block", "beats"], ["--block", "beats", "--block", "other", "--no-plugins"]]
)
def test_flags_for_another_process(flags: list[str]) -> None:
    """Those that decide which plugins are loaded, and no others."""
    assert session(*flags, "--traceback").flags == flags


def test_flags_decide_what_is_loaded(site: Site) -> None:
    """The registry is loaded once, without what they block."""
    site.healthy("beats")

    assert session().registry.find("encoder", "beats")
    assert session("--block", "beats").registry.find("encoder", "beats") is None
    assert session("--no-plugins").registry.plugins[0].name == "builtin"
    one = session()
    assert one.registry is one.registry


def test_traceback() -> None:
    """As the flag says."""
    assert [session(*words).traceback for words in ([], ["--traceback"])] == [False, True]
