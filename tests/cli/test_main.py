"""The command line itself: finding the command, flags of every command, errors and exit codes."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from steermoe_core.cli.commands import COMMANDS, GROUPS, command_module
from steermoe_core.cli.main import main
from steermoe_core.errors import ConfigError, DataError, PluginError, SetupError, UsageError

if TYPE_CHECKING:
    from conftest import Site


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return a command `work` that keeps its arguments and raises `error` if one is set."""
    module = SimpleNamespace(error=None, args=None)

    def run(args: Any, _session: object) -> int:
        module.args = args
        if module.error is not None:
            raise module.error
        return 0

    module.run = run
    module.add_arguments = lambda parser: parser.add_argument("file", nargs="?")
    monkeypatch.setitem(COMMANDS, "work", "do it")
    monkeypatch.setitem(sys.modules, "steermoe_core.cli.work", module)
    return module


def test_every_listed_command_exists() -> None:
    """A command that is not built is not listed."""
    for name in COMMANDS:
        module = command_module(name)
        assert callable(module.run)
        assert callable(module.add_arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` works before and after the command, and shows the flags that all share."""
    assert main([name, "--help"]) == 0
    after = capsys.readouterr().out
    assert main(["--help", name]) == 0

    assert capsys.readouterr().out == after
    assert "--no-plugins" in after


def test_help_lists_commands_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` alone lists every command below the title of its group, in lines that fit in 80 columns."""
    assert main(["--help"]) == 0

    text = capsys.readouterr().out
    blocks = {title: lines for title, _, lines in (block.partition(":\n") for block in text.split("\n\n"))}
    for title, group in GROUPS.items():
        assert blocks[title].splitlines() == [f"  {name:<14}{line}" for name, line in group.items()]
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("words", [["--version"], ["-V"], ["--no-plugins", "--version"]])
def test_version(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever it stands, `--version` prints the installed version."""
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("steermoe ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "which command?"),
        (["lst-plugins"], 'there is no command "lst-plugins"; did you mean "list-plugins"?'),
        (["qqqq"], 'there is no command "qqqq" (steermoe --help lists all)'),
        (["list-plugins", "--jsn"], 'list-plugins has no argument --jsn; did you mean "--json"?'),
        (["list-plugins", "--js"], "has no argument --js"),
        (["list-plugins", "more"], "has no argument more"),
        (["list-plugins", "--kind", "encodr"], "invalid choice: 'encodr'"),
        (["list-plugins", "--block"], "expected one argument"),
        (["check"], "the following arguments are required: FILE"),
    ],
)
def test_wrong_usage(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, one sentence on stderr, nothing on stdout."""
    assert main(words) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.startswith("steermoe: ")


@pytest.mark.parametrize(
    "words",
    [
        ["--block", "work", "--no-plugins", "work", "a.toml"],
        ["work", "a.toml", "--block", "work", "--no-plugins"],
        ["--block=work", "work", "--no-plugins", "a.toml"],
    ],
)
def test_shared_flags_anywhere(words: list[str], command: SimpleNamespace) -> None:
    """Flags of every command may stand before or after it; the value of `--block` is not a command."""
    assert main(words) == 0

    assert (command.args.block, command.args.no_plugins, command.args.file) == (["work"], True, "a.toml")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("no sound"), 1),
        (UsageError("no sound"), 2),
        (ConfigError(["no sound"]), 2),
        (PluginError("no sound"), 3),
        (SetupError("no sound"), 4),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("no sound"), 1),
    ],
)
def test_exit_codes(
    error: BaseException, code: int, command: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each error that a user can cause is one message; only a bug shows a traceback."""
    command.error = error

    assert main(["work"]) == code

    err = capsys.readouterr().err
    assert ("no sound" in err) is (code != 130)
    assert ("Traceback" in err) is isinstance(error, ZeroDivisionError)


def test_traceback_flag(command: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    """`--traceback` shows where a user's error comes from, too."""
    command.error = DataError("no sound")

    assert main(["work", "--traceback"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_pdb_flag(command: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--pdb` opens the debugger at the place of the error."""
    opened: list[object] = []
    monkeypatch.setattr("pdb.post_mortem", opened.append)
    command.error = DataError("no sound")

    assert main(["--pdb", "work"]) == 1
    assert opened == [command.error.__traceback__]


def test_closed_pipe(site: Site) -> None:
    """A reader that stops early is no error."""
    code = """
import os, subprocess, sys
reader, writer = os.pipe()
os.close(reader)
command = [sys.executable, "-m", "steermoe_core", "list-plugins"]
done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE)
print(done.returncode, done.stderr)
"""
    assert site.run(code=code).stdout == "0 b''\n"
