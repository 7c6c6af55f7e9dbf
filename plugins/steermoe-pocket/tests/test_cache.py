"""The cache: a folder in it is made once and never half."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from steermoe_core import SetupError, cache_folder
from steermoe_pocket import cache

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_is_made_once() -> None:
    """The second time, nothing is made."""
    calls: list[Path] = []
    for _ in range(2):
        folder = cache.made_once(cache_folder() / "a" / "b", calls.append)
    assert folder.is_dir()
    assert len(calls) == 1


def test_a_failure_leaves_nothing_behind() -> None:
    """A folder that could not be completed does not exist, and the next attempt starts afresh."""
    folder = cache_folder() / "model"

    def fail(made: Path) -> None:
        (made / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.made_once(folder, fail)
    assert [path.name for path in cache_folder().iterdir() if path.is_dir()] == []
    assert cache.made_once(folder, lambda made: (made / "whole").touch()) == folder
    assert [path.name for path in folder.iterdir()] == ["whole"]


def test_two_at_once_make_one(tmp_path: Path) -> None:
    """Of several that ask at the same time, one makes and the others wait for the complete folder."""
    calls: list[Path] = []

    def slowly(made: Path) -> None:
        calls.append(made)
        time.sleep(0.1)
        (made / "done").touch()

    def ask() -> None:
        seen.append((cache.made_once(tmp_path / "model", slowly) / "done").exists())

    seen: list[bool] = []
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 4
    assert len(calls) == 1


def test_a_cache_that_cannot_be_written_says_what_to_set(tmp_path: Path) -> None:
    """The message names the folder and STEERMOE_CACHE."""
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(SetupError, match=f"{blocked}.* STEERMOE_CACHE"):
        cache.made_once(blocked / "model", lambda _: None)
