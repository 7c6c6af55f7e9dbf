"""Debian packages are installed where that is possible, and nowhere else."""

from __future__ import annotations

import pytest

from steermoe_pocket import debian

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
