"""The recordings that a command line names."""

from __future__ import annotations

from pathlib import Path

import pytest

from steermoe_core.cli.shared.recordings import named
from steermoe_core.errors import UsageError


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a tree of files and work in it."""
    for name in (
        "talks/b.wav",
        "talks/a.MP3",
        "talks/day 2/a.flac",
        "talks/notes.txt",
        "talks/.c.wav",
        "odd[1].wav",
    ):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    monkeypatch.chdir(tmp_path)


def places(*arguments: str) -> dict[str, str]:
    """Return the place of each recording by its name."""
    return {one.name: one.place.as_posix() for one in named(arguments)}


def test_files_and_stdin() -> None:
    """As they are named, missing ones too; brackets may be part of a name."""
    assert places("talks/b.wav", "none.wav", "odd[1].wav", "-") == {
        "talks/b.wav": "b", "none.wav": "none", "odd[1].wav": "odd[1]", "-": "stdin",
    }  # fmt: skip
    assert [one.path for one in named(["b.wav", "-"])] == [Path("b.wav"), None]


def test_a_folder() -> None:
    """Its sound files and those of its subfolders, sorted; hidden ones not."""
    assert places("talks") == {
        "talks/a.MP3": "a", "talks/b.wav": "b", "talks/day 2/a.flac": "day 2/a",
    }  # fmt: skip


def test_a_pattern() -> None:
    """What it matches, sorted; ** is any folders."""
    assert list(places("talks/*.*")) == ["talks/.c.wav", "talks/a.MP3", "talks/b.wav", "talks/notes.txt"]
    assert list(places("**/a.*")) == ["talks/a.MP3", "talks/day 2/a.flac"]
    assert list(places(str(Path.cwd() / "t*" / "b.wav"))) == [str(Path.cwd() / "talks/b.wav")]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["-", "-"], "stdin can be read once"),
        (["*.ogg"], r"no file matches \*\.ogg"),
        (["empty"], r"the folder empty holds no sound files \(.*\.wav"),
    ],
)
def test_refused(arguments: list[str], reason: str) -> None:
    """Says which argument holds none."""
    Path("empty").mkdir()
    with pytest.raises(UsageError, match=reason):
        named(arguments)
