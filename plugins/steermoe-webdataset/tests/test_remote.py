"""Paths and URLs: which files they name, and their bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fsspec
import pytest

from steermoe_core import DataError, SetupError
from steermoe_webdataset.remote import content, found, identity

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def memory() -> str:
    """Return the URL of a folder in fsspec's memory with four files."""
    system = fsspec.filesystem("memory")
    for name in ("train-2.tar", "train-10.tar", "test-1.tar", "train-1.txt"):
        system.pipe_file(f"/bucket/{name}", name.encode())
    return "memory://bucket"


class TestFound:
    """Which files a pattern names."""

    def test_a_range_keeps_its_digits(self) -> None:
        """In order, in every combination; nothing is asked whether it is there."""
        assert found("https://a/{x,y}-{08..10}.tar") == [
            "https://a/x-08.tar", "https://a/x-09.tar", "https://a/x-10.tar",
            "https://a/y-08.tar", "https://a/y-09.tar", "https://a/y-10.tar",
        ]  # fmt: skip

    def test_matches_are_ordered_by_number(self, memory: str, tmp_path: Path) -> None:
        """The 2nd before the 10th, behind a URL and on the disk."""
        for name in ("a10.tar", "a9.tar", "b.txt"):
            (tmp_path / name).touch()

        assert found(f"{memory}/train-*.tar") == [
            "memory:///bucket/train-2.tar",
            "memory:///bucket/train-10.tar",
        ]
        assert found(str(tmp_path / "*.tar")) == [str(tmp_path / "a9.tar"), str(tmp_path / "a10.tar")]

    def test_no_match_is_named(self, memory: str) -> None:
        """The pattern is."""
        with pytest.raises(DataError, match=r"dev-\*.tar: there is no such file"):
            found(f"{memory}/dev-*.tar")


class TestContent:
    """Ranges of bytes."""

    def test_a_range_is_read(self, memory: str) -> None:
        """And nothing else."""
        assert content(f"{memory}/train-10.tar", 2, 5) == b"ain-1"

    def test_an_end_that_is_missing_is_named(self, memory: str) -> None:
        """A server that ignores ranges answers with another number of bytes, too."""
        with pytest.raises(DataError, match=r"train-2.tar: 4 bytes came at 7, not 9; the file was cut off"):
            content(f"{memory}/train-2.tar", 7, 9)

    def test_a_file_that_changes_is_another(self, memory: str) -> None:
        """Its size or its time has changed."""
        before = identity(f"{memory}/train-2.tar")
        assert identity(f"{memory}/train-2.tar") == before
        fsspec.filesystem("memory").pipe_file("/bucket/train-2.tar", b"train-3.tar")

        assert identity(f"{memory}/train-2.tar") != before

    @pytest.mark.parametrize(
        ("url", "error", "sentence"),
        [
            ("memory://bucket/none.tar", DataError, "there is no such file"),
            ("nothing://bucket/none.tar", SetupError, "Protocol not known: nothing"),
        ],
    )
    def test_what_cannot_be_read_is_named(self, url: str, error: type, sentence: str) -> None:
        """With the reason."""
        with pytest.raises(error, match=f"{url}: {sentence}"):
            identity(url)
