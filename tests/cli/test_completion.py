"""Shell completion: what is offered where, and that real shells offer it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.commands import COMMANDS, command_parser
from steermoe_core.cli.completion import SCRIPTS
from steermoe_core.cli.main import main
from steermoe_core.cli.shared.completing import answer, split
from steermoe_core.component import KINDS
from tests.cli.test_cold_start import HEAVY, PROBE, TRIES
from tests.pace import computing, pace

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Site

EXPERIMENT = """
[adapter]
use = "steering"
[[data.train]]
use = "folder"
[data.eval.dev]
use = "folder"
[data.eval.test-clean]
use = "folder"
"""


@pytest.fixture
def place(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working directory with an experiment, two runs, some other files, and a plugin."""
    site.healthy("beats")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "first.toml").write_text(EXPERIMENT)
    (tmp_path / "notes.txt").touch()
    (tmp_path / "more").mkdir()
    (tmp_path / "more room").mkdir()
    for name in ("first-1", "first-2"):
        for split_name in ("dev", "test-clean"):
            (tmp_path / "runs" / name / "evaluations" / split_name).mkdir(parents=True)
        (tmp_path / "runs" / name / "status.json").touch()
    return tmp_path


def offered(line: str) -> list[str]:
    """Return the words that are offered at the end of a line, without their meanings."""
    return [one.partition("\t")[0] for one in answer(split(f"steermoe {line}")[1:])]


def keys(line: str) -> list[str]:
    """Return what is offered behind the last dot or equals sign."""
    return [one.rstrip(".=").rpartition(".")[2].rpartition("=")[2] for one in offered(line)]


def test_commands(place: Path) -> None:
    """All of them, or those that begin so; flags may stand before."""
    assert [name for name in offered("") if name in COMMANDS] == list(COMMANDS)  # plugins offer more
    assert offered("des") == ["describe"]
    assert offered("--block beats --traceback che") == [name for name in COMMANDS if name.startswith("che")]
    assert offered("nosuch ") == []


@pytest.mark.parametrize("name", COMMANDS)
def test_flags(name: str, place: Path) -> None:
    """All long flags of every command; what stands there already is offered again only if it may."""
    flags = {flag for a in command_parser(name)._actions for flag in a.option_strings if flag[:2] == "--"}
    assert set(offered(f"{name} --")) == flags
    again = set(offered(f"{name} --traceback --block beats --"))
    assert "--traceback" not in again
    assert "--block" in again


@pytest.mark.parametrize("name", COMMANDS)
def test_every_value_is_asked_for_without_a_crash(name: str, place: Path) -> None:
    """Of every flag and every place, whatever it is."""
    for action in command_parser(name)._actions:
        for flag in action.option_strings:
            offered(f"{name} {flag} ")
            offered(f"{name} {flag}=")
    for words in ("", "x ", "x y ", "encoder "):
        offered(f"{name} {words}")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run ", ["@files .toml"]),
        ("run first.toml fir", ["@files .toml"]),
        ("check first.toml --json ", ["@files .toml"]),
        ("plan first.toml ", []),
        ("launch --hostfile ", ["@files"]),
        ("run first.toml --runs ", ["@folders"]),
        ("run first.toml --runs=", ["@folders"]),
        ("schema --output ", ["@files"]),
        ("evaluate ", ["runs/first-1", "runs/first-2"]),
        ("results runs/first-1 runs/first-2", ["runs/first-2"]),
        ("results mo", ["@folders"]),
        ("push runs/first-1 ", []),
        ("transcribe runs/first-1 ", ["@files"]),
        ("evaluate runs/first-1 --split ", ["dev", "test-clean"]),
        ("evaluate --from-predictions runs/first-1 --split ", ["dev", "test-clean"]),
        ("evaluate --from-predictions runs/first-1 --rule o", ["open-asr"]),
        ("describe ", list(KINDS)),
        ("describe encoder be", ["beats"]),
        ("describe adapter s", ["soft-prompt", "steering"]),
        ("describe nokind ", []),
        ("matrix adapter enc", ["encoder"]),
        ("check-plugin --only rou", ["router"]),
        ("check-plugin --only router so", ["softmax"]),
        ("list-plugins --kind ro", ["router"]),
        ("list-plugins --kind=ro", ["--kind=router"]),
        ("list-plugins --block be", ["beats"]),
        ("--block be", ["beats"]),
        ("completion ", ["bash", "zsh", "fish"]),
    ],
)
def test_values(line: str, words: list[str], place: Path) -> None:
    """Names that exist; files where the shell knows them best."""
    assert offered(line) == words


def test_a_blocked_plugin_offers_nothing(place: Path) -> None:
    """The flag acts before its code is imported, here too."""
    assert "beats" not in offered("describe --block beats encoder ")
    assert "beats" not in offered("describe --no-plugins encoder ")


def test_keys_go_from_part_to_part(place: Path) -> None:
    """A dot where there is more below, an equals sign where a value goes."""
    assert {"train.", "adapter.", "metrics."} <= set(offered("run first.toml --set "))
    assert {"train.steps=", "train.learning_rate."} <= set(offered("run first.toml --set train."))
    assert offered("run first.toml --set train.learning_rate.l") == ["train.learning_rate.lora="]
    assert offered("run first.toml --set train.nothing.") == []


def test_keys_are_those_of_the_chosen_components(place: Path) -> None:
    """By the file, by what it extends, by other flags, or by default."""
    (place / "second.toml").write_text('extends = "first.toml"\n')
    for file in ("first", "second"):
        assert "bounded" in keys(f"run {file}.toml --set adapter.")
    assert keys("run first.toml --set adapter.use=none --set adapter.") == ["use"]
    assert keys("run --set adapter.use=none first.toml --set adapter.router.") == []
    assert "temperature" in keys("check first.toml --set adapter.router.")
    assert "k" in keys("check first.toml --set adapter.router.use=topk --set adapter.router.")
    assert keys("check nosuch.toml --set adapter.") == ["use"]
    assert "pool" in keys("check --set projector.")


def test_keys_of_several_components(place: Path) -> None:
    """By number, with one more to add, or by name."""
    assert offered("run first.toml --set data.train.") == ["data.train.0.", "data.train.1."]
    assert "file_column" in keys("run first.toml --set data.train.0.")
    assert keys("run first.toml --set data.train.1.") == ["use"]
    assert keys("run first.toml --set data.eval.") == ["dev", "test-clean"]
    assert "split" in keys("run first.toml --set data.eval.dev.")


def test_keys_that_can_be_dropped(place: Path) -> None:
    """What the file and those that it extends set; nothing without a file."""
    (place / "second.toml").write_text('extends = "first.toml"\nexperiment.description = "second"\n')
    found = offered("run second.toml --unset ")
    assert {"adapter", "adapter.use", "experiment.description", "data.eval.dev"} <= set(found)
    assert "adapter.experts" not in found
    assert offered("run second.toml --unset experiment.d") == ["experiment.description"]
    assert offered("run --unset ") == offered("run nosuch.toml --unset ") == []


def test_values_of_keys(place: Path) -> None:
    """Components, choices, true and false, paths; nothing where anything may stand."""
    assert "beats" in keys("run first.toml --set encoder.use=")
    assert offered("run first.toml --set adapter.use=st") == ["adapter.use=steering"]
    assert keys("run first.toml --set train.schedule=") == ["constant", "linear", "cosine"]
    assert keys("run first.toml --set adapter.bounded=") == ["true", "false"]
    assert offered("run first.toml --set data.train.0.path=") == ["@files"]
    assert offered("run first.toml --set train.steps=") == []


def test_a_file_that_is_being_written(place: Path) -> None:
    """Wrong values and wrong TOML: what can be told is told."""
    (place / "first.toml").write_text('adapter = 3\nmetrics = "wer"\ntrain = []\n')
    assert "use" in keys("run first.toml --set adapter.")
    assert keys("run first.toml --set metrics.") == ["0"]
    (place / "first.toml").write_text("adapter = \n")
    assert "steps" in keys("run first.toml --set train.")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a b", ["a", "b"]),
        ("a b ", ["a", "b", ""]),
        ("", [""]),
        ("a 'b c", ["a", "b c"]),
        ('a "b c" ', ["a", "b c", ""]),
        ("a b\\ c", ["a", "b c"]),
        ("a b\\", ["a", "b"]),
        ("a \"it's", ["a", "it's"]),
    ],
)
def test_a_line_is_cut_as_a_shell_does(line: str, words: list[str]) -> None:
    """Open quotes included."""
    assert split(line) == words


@pytest.mark.parametrize("shell", SCRIPTS)
def test_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each shell's own; another shell is a usage error."""
    assert main(["completion", shell]) == 0
    assert "steermoe" in capsys.readouterr().out
    assert main(["completion", "tcsh"]) == 2


#: Seconds of computing of an answer on a fast machine.
QUICK = 0.3


@pytest.mark.parametrize("words", ["", "describe encoder ", "run cold.toml --set train.", "list-plugins --"])
def test_it_is_quick(words: str, site: Site) -> None:
    """With ten plugins, little computing and nothing heavy."""
    for number in range(10):
        site.healthy(f"plugin{number}")
    seconds = []
    for _ in range(TRIES):
        start = computing()
        done = site.run("completion", "--line", f"steermoe {words}", code=PROBE)
        seconds.append(computing() - start)
        if seconds[-1] <= QUICK * pace():
            break

    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert not set(HEAVY) & set(done.stderr.partition("loaded:")[2].split())
    assert min(seconds) <= QUICK * pace()


def shell(name: str) -> str:
    """Return the path of a shell, or skip the test."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture
def program(place: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a `steermoe` that sees the plugin on the path, and return the working directory."""
    folder = place / "bin"
    folder.mkdir()
    (folder / "steermoe").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m steermoe_core "$@"\n')
    (folder / "steermoe").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(site.folder))
    for name, text in SCRIPTS.items():
        (place / f"completion.{name}").write_text(text)
    return place


#: A line up to the cursor, and words that a shell must and must not make of its end.
LINES = [
    ("steermoe des", {"describe"}, {"run"}),
    ("steermoe describe encoder b", {"beats"}, {"steering"}),
    ("steermoe run ", {"first.toml", "more"}, {"notes.txt"}),
    ("steermoe transcribe runs/first-1 no", {"notes.txt"}, {"first.toml"}),
    ("steermoe evaluate runs/first-", {"runs/first-1", "runs/first-2"}, {"first.toml"}),
    ("steermoe run first.toml --runs mo", {"more", "more room"}, {"first.toml"}),
    ("steermoe run first.toml --set adapter.b", {"adapter.bounded=", "adapter.balance="}, {"adapter.use="}),
]
BASH_COMPLETE = r"""
source completion.bash
# As readline cuts a line: at blanks, and around = and :
read -ra pieces <<< "${COMP_LINE//=/ = }"
[[ "$COMP_LINE" == *[[:space:]=] ]] && [[ "$COMP_LINE" != *= ]] && pieces+=("")
COMP_WORDS=("${pieces[@]}") COMP_CWORD=$((${#pieces[@]} - 1)) COMP_POINT=${#COMP_LINE}
complete -p steermoe | grep -q -- '-F _steermoe' || exit 1
_steermoe steermoe "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\n' "${COMPREPLY[@]}"
"""


ZSH_COMPLETE = r"""
compdef() { : }
source completion.zsh
# What the completion system itself does, put plainly.
compadd() { print -rl -- ${(P)@[-1]} }
compset() { PREFIX=${PREFIX#*=} }
_files() {
    case "$1" in
        (-/) print -rl -- $PREFIX*(N/) ;;
        (-g) print -rl -- $PREFIX*(N/) $PREFIX${~2}(N) ;;
        (*) print -rl -- $PREFIX*(N) ;;
    esac
}
words=(${(z)LINE})
[[ $LINE == *' ' ]] && words+=('')
CURRENT=$#words PREFIX=$words[-1]
_steermoe
"""


def complete(words: list[str], **environment: str) -> set[str]:
    """Return what a shell prints, a word a line."""
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, timeout=60, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return {line.partition("\t")[0].rstrip("/") for line in done.stdout.splitlines()}


@pytest.mark.parametrize(("line", "some", "none"), LINES)
def test_bash(line: str, some: set[str], none: set[str], program: Path) -> None:
    """Its own function for `complete -F`, with the line cut as readline does."""
    found = complete([shell("bash"), "--norc", "-c", BASH_COMPLETE], COMP_LINE=line)
    assert some <= found
    assert not none & found


@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("steermoe list-plugins --kind=", set(KINDS)),
        ("steermoe list-plugins --kind=ro", {"router"}),
        ("steermoe run first.toml --set adapter.use=", {"aligner", "none", "steering"}),
        ("steermoe run first.toml --set adapter.use=st", {"steering"}),
        ("steermoe run first.toml --set data.train.0.path=mo", {"more", "more room"}),
    ],
)
def test_bash_behind_an_equals_sign(line: str, replies: set[str], program: Path) -> None:
    """Bash replaces only what stands behind it."""
    found = complete([shell("bash"), "--norc", "-c", BASH_COMPLETE], COMP_LINE=line)
    assert found >= replies - {"aligner"}
    assert not [word for word in found if "=" in word]


@pytest.mark.parametrize(("line", "some", "none"), LINES)
def test_zsh(line: str, some: set[str], none: set[str], program: Path) -> None:
    """The function that `compdef` registers; what it hands to zsh is printed."""
    found = complete([shell("zsh"), "-f", "-c", ZSH_COMPLETE], LINE=line)
    assert some <= found
    assert not none & found


def test_zsh_behind_an_equals_sign(program: Path) -> None:
    """It wants the whole word again, but for files."""
    zsh, line = [shell("zsh"), "-f", "-c", ZSH_COMPLETE], "steermoe run first.toml --set"
    assert complete(zsh, LINE=f"{line} adapter.use=st") == {"adapter.use=steering"}
    assert complete(zsh, LINE=f"{line} data.train.0.path=mo") == {"more", "more room"}


@pytest.mark.parametrize(("line", "some", "none"), LINES)
def test_fish(line: str, some: set[str], none: set[str], program: Path) -> None:
    """As it completes itself, with no file of the user's."""
    command = f"source completion.fish; complete -C '{line}'"
    found = complete([shell("fish"), "--no-config", "-c", command], HOME=str(program))
    assert some <= found
    assert not none & found


def test_fish_behind_an_equals_sign(program: Path) -> None:
    """It wants the whole word again."""
    command = "source completion.fish; complete -C 'steermoe run first.toml --set adapter.use=st'"
    found = complete([shell("fish"), "--no-config", "-c", command], HOME=str(program))
    assert found == {"adapter.use=steering"}
    command = "source completion.fish; complete -C 'steermoe run first.toml --set data.train.0.path=mo'"
    found = complete([shell("fish"), "--no-config", "-c", command], HOME=str(program))
    assert found == {"data.train.0.path=more", "data.train.0.path=more room"}
