"""Commands of plugins: listed by distribution, imported when called, never in the way of another command."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main
from steermoe_core.plugins import load_registry
from tests.host import plugin

if TYPE_CHECKING:
    from conftest import Site

OFFER = """
from steermoe_core import Command, hookimpl

@hookimpl
def steermoe_commands():
    yield Command(name="{name}", api=1, summary="say it twice", code="{code}")
"""
TWICE = '''
"""`steermoe twice WORD`: print a word twice."""
from steermoe_core import DataError

def add_arguments(parser):
    parser.add_argument("word", metavar="WORD", help="the word")
    parser.add_argument("--returns", type=int, help="the exit code")

def run(args, session):
    if args.word == "crash":
        return 1 / 0
    if args.word == "exit":
        raise SystemExit("so long")
    if args.word == "four":
        raise SystemExit(4)
    if args.word == "text":
        return "done"
    if args.word == "data":
        raise DataError("no sound")
    session.console.print(args.word, args.word, len(session.registry.names("encoder")) > 0)
    return args.returns
'''


def add(site: Site, name: str = "twice", command: str = "twice", code: str | None = None) -> None:
    """Write a plugin that adds a command."""
    site.add(name, OFFER.format(name=command, code=code or f"fake_{name}_code"))
    (site.folder / f"fake_{name}_code.py").write_text(TWICE, encoding="utf-8")


@pytest.fixture
def twice(site: Site) -> Site:
    """Return a site with a plugin that adds the command `twice`, examined before."""
    add(site)
    load_registry()
    return site


def test_it_is_called(twice: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """With its arguments and a session; None is exit code 0."""
    assert main(["twice", "hello"]) == 0
    assert main(["--block", "whisper", "twice", "hello", "--returns", "5"]) == 5

    assert capsys.readouterr().out == "hello hello True\n" * 2


def test_an_object_and_a_class_are_called(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """A class is instantiated without arguments."""
    methods = "import fake_twice_code as c\n\nclass Twice:\n"
    methods += "  def add_arguments(self, parser): c.add_arguments(parser)\n"
    methods += "  def run(self, args, session): return c.run(args, session)\n"
    (site.folder / "fake_class.py").write_text(methods + "\ntwice = Twice()\n", encoding="utf-8")
    add(site, code="fake_class:Twice")
    add(site, "again", "again", code="fake_class:twice")

    assert main(["twice", "one"]) == main(["again", "two"]) == 0
    assert capsys.readouterr().out == "one one True\ntwo two True\n"


def test_help_describes_it(twice: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """From the docstring of its module, with the flags of every command."""
    assert main(["twice", "--help"]) == 0

    text = capsys.readouterr().out
    assert "Print a word twice." in text
    assert "--no-plugins" in text


def test_help_lists_it_by_distribution(twice: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Its module is not imported for it; a blocked plugin is not listed."""
    assert main(["--help"]) == 0
    assert "from steermoe-twice 1.0:\n  twice         say it twice\n" in capsys.readouterr().out
    assert not {"fake_twice", "fake_twice_code"} & set(sys.modules)

    assert main(["--help", "--block", "twice"]) == 0
    assert "steermoe-twice" not in capsys.readouterr().out


def test_help_examines_no_plugin(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """A plugin that has not been examined is left out: it might hang."""
    add(site)

    assert main(["--help"]) == 0
    assert "twice" not in capsys.readouterr().out


def test_completion_knows_it(twice: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Its name and the flags of every command; its own flags would import it at every Tab."""
    assert main(["completion", "--words", "twi"]) == 0
    assert main(["completion", "--words", "twice", "--no"]) == 0
    assert main(["completion", "--words", "twice", "x"]) == 0
    assert main(["completion", "--words", "twice", "--block", "twi"]) == 0

    lines = [line.partition("\t")[0] for line in capsys.readouterr().out.splitlines()]
    assert lines == ["twice", "--no-plugins", "@files", "twice"]
    assert "fake_twice_code" not in sys.modules


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["twice", "crash"], 3, 'the command "twice" (steermoe-twice 1.0) failed: ZeroDivisionError'),
        (["twice", "exit"], 3, 'the command "twice" (steermoe-twice 1.0) failed: SystemExit: so long'),
        (["twice", "text"], 3, "run() returned str, expected an exit code"),
        (["twice", "data"], 1, "steermoe: no sound"),
        (["twice", "four"], 4, ""),
        (["twice"], 2, "the following arguments are required: WORD"),
        (["twice", "x", "--retuns", "1"], 2, 'twice has no argument --retuns; did you mean "--returns"?'),
        (["twise", "x"], 2, 'there is no command "twise"; did you mean "twice"?'),
        (["twice", "--block", "twice"], 2, "not searched: twice (blocked)"),
    ],
)
def test_errors(
    words: list[str], code: int, message: str, twice: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """A crash is the plugin's and says so in one line; errors meant for the user keep their exit code."""
    assert main(words) == code

    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") <= 1


def test_traceback_of_a_crash(twice: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """On request."""
    assert main(["twice", "crash", "--traceback"]) == 3
    assert "return 1 / 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import torchodyo", "it needs the module torchodyo"),
        ("raise SystemExit(0)", "SystemExit"),
        ("def run(args, session): return 0", "add_arguments"),
        ("def add_arguments(parser): parser.add_argument('--block')", "conflicting option string: --block"),
    ],
)
def test_broken_code(code: str, reason: str, twice: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """It is found when the command is called, and named."""
    (twice.folder / "fake_twice_code.py").write_text(code, encoding="utf-8")

    assert main(["twice", "x"]) == 3

    err = capsys.readouterr().err
    assert "twice" in err
    assert reason in err


@pytest.mark.parametrize("command", ["run", "list-plugins"])
def test_a_builtin_command_stays(command: str, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """The plugin that takes its name is quarantined."""
    add(site, "rude", command)

    odd = plugin(load_registry(), "rude")
    assert (odd.status, odd.reason) == (
        "broken",
        f'its command "{command}" has the name of a built-in command',
    )
    assert main([command, "--help"]) == main(["--help"]) == 0
    assert "say it twice" not in capsys.readouterr().out


def test_two_plugins_with_one_command(twice: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither is called, until one is blocked."""
    add(twice, "other")

    assert main(["twice", "hello"]) == 3
    err = capsys.readouterr().err
    assert 'the command "twice" is not available: "other" (steermoe-other 1.0) is broken' in err
    assert 'its command "twice" is also offered by "twice"' in err
    assert main(["twice", "hello", "--block", "other"]) == 0


def test_it_is_listed_and_described(twice: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """As data, too."""
    assert main(["list-plugins", "--json", "--kind", "command"]) == 0
    plugins = {one["name"]: one for one in json.loads(capsys.readouterr().out)["plugins"]}
    assert plugins["twice"]["commands"] == [{"name": "twice", "api": 1, "summary": "say it twice"}]
    assert "run" in {one["name"] for one in plugins["builtin"]["commands"]}
    assert not any(one["components"] for one in plugins.values())

    assert main(["describe", "command", "twice"]) == 0
    assert "from steermoe-twice 1.0, code fake_twice_code" in capsys.readouterr().out
    assert main(["describe", "command", "twice", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["code"] == "fake_twice_code"
    assert main(["describe", "command", "twise"]) == 3
    assert 'no command is named "twise"; did you mean "twice"' in capsys.readouterr().err
    assert main(["matrix", "command", "encoder"]) == 2
    assert "no command needs anything of an encoder" in capsys.readouterr().err
