"""Debian packages are installed where that is possible, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from steermoe_core.errors import SetupError
from steermoe_pocket import debian

if TYPE_CHECKING:
    from pathlib import Path

LACKING = ["asterisk-core-sounds-en"]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return the commands that are run on a root's machine without one package; each fails."""
    ran: list[list[str]] = []

    class Failed:
        returncode = 100

    def run(command: list[str], **_options: object) -> type[Failed]:
        ran.append(command)
        return Failed

    monkeypatch.setattr(debian, "missing", lambda: list(LACKING))
    monkeypatch.setattr(debian.os, "geteuid", lambda: 0)
    monkeypatch.setattr(debian.shutil, "which", lambda _: "/usr/bin/apt-get")
    monkeypatch.setattr(debian.subprocess, "run", run)
    return ran


def test_nothing_is_done_where_nothing_is_missing(commands: list, monkeypatch: pytest.MonkeyPatch) -> None:
    """No reason, no command."""
    monkeypatch.setattr(debian, "missing", list)
    assert debian.install() is None
    assert commands == []


def test_only_root_installs(commands: list, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are told."""
    monkeypatch.setattr(debian.os, "geteuid", lambda: 1000)
    assert debian.install() == "not root"
    assert commands == []


def test_machines_without_apt_go_without(commands: list, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are told."""
    monkeypatch.setattr(debian.shutil, "which", lambda _: None)
    assert debian.install() == "there is no apt-get"
    assert commands == []


def test_a_failure_renews_the_index_and_is_then_told(commands: list[list[str]]) -> None:
    """It is no error: the lab works without."""
    assert debian.install() == "apt-get failed"
    assert ["install" in command for command in commands] == [True, False]
    assert commands[0][-1] == LACKING[0]


def test_the_doc_folder_is_kept(commands: list[list[str]]) -> None:
    """Small system images leave documents out, but the transcripts are one."""
    debian.install()
    assert f"--option=Dpkg::Options::=--path-include=/usr/share/doc/{LACKING[0]}/*" in commands[0]


@pytest.fixture
def archives(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the packages that can be downloaded; unpacked, each is a file with its name."""
    there = ["hello"]

    def call(command: list[str], failure: str, *, folder: Path) -> None:
        if command[0] == "dpkg-deb":
            (folder / "name").write_text((folder / command[2]).read_text())
        elif command[-1] in there:
            (folder / f"{command[-1]}_1.0_all.deb").write_text(command[-1])
        else:
            msg = f"{failure}: E: Unable to locate package {command[-1]}"
            raise SetupError(msg)

    monkeypatch.setattr(debian, "call", call)
    monkeypatch.setattr(debian.os, "geteuid", lambda: 1000)
    return there


def test_a_package_is_unpacked_into_the_cache(archives: list[str], cache: Path) -> None:
    """Once: later, no program is called. The archive is not kept."""
    folder = debian.unpacked("hello")
    archives.clear()
    assert debian.unpacked("hello") == folder == cache / "debian" / "hello"
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("name", "hello")]


@pytest.mark.usefixtures("archives")
def test_a_package_that_cannot_be_downloaded_is_named(cache: Path) -> None:
    """With apt-get's reason; nothing is left under its name."""
    with pytest.raises(SetupError) as caught:
        debian.unpacked("ciao")
    reason = "E: Unable to locate package ciao"
    assert str(caught.value) == f"the Debian package ciao cannot be downloaded: {reason}"
    assert not (cache / "debian" / "ciao").exists()


def test_root_renews_the_index_and_tries_again(archives: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A new system has an empty one."""

    def update(*_command: str) -> bool:
        archives.append("ciao")
        return True

    monkeypatch.setattr(debian, "_apt", update)
    monkeypatch.setattr(debian.os, "geteuid", lambda: 0)
    monkeypatch.setattr(debian.shutil, "which", lambda _: "/usr/bin/apt-get")
    assert (debian.unpacked("ciao") / "name").read_text() == "ciao"
