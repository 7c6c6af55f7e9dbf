"""A write that fails ends in a sentence that says what to do; any other error stays what it is."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from steermoe_core.errors import CheckpointError
from steermoe_core.system.files import saving

if TYPE_CHECKING:
    from collections.abc import Callable

FULL = Path("/dev/full")


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "make room on its disk"),
        (errno.EDQUOT, "make room in this user's quota"),
        (errno.EROFS, "make its file system writable (it is mounted read-only)"),
        (errno.EACCES, "give this user permission to write there"),
        (errno.EIO, "see that there is room, and permission to write"),
    ],
)
def test_says_what_failed_and_what_helps(tmp_path: Path, number: int, remedy: str) -> None:
    """A full disk is not a read-only one."""
    error = OSError(number, os.strerror(number))

    with pytest.raises(CheckpointError) as caught, saving(tmp_path / "scores.json"):
        raise error

    said = f"{tmp_path / 'scores.json'} was not saved ({error}); {remedy}, then run the same command"
    assert str(caught.value) == said


def test_says_what_else_there_is_to_do(tmp_path: Path) -> None:
    """Where the caller knows another way."""
    with (
        pytest.raises(CheckpointError, match=r"same command, or choose another --output folder$"),
        saving(tmp_path, "choose another --output folder"),
    ):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_what_safetensors_says_of_the_system(tmp_path: Path) -> None:
    """It has the number of the error in its text."""
    text = "Error while serializing: I/O error: No space left on device (os error 28)"

    with pytest.raises(CheckpointError, match="make room on its disk"), saving(tmp_path):
        raise SafetensorError(text)


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(
            lambda: torch.save(torch.zeros(100_000), FULL),
            marks=pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full"),
        ),
        lambda: torch.save(torch.zeros(1), "/nowhere/at/all"),
        lambda: save_file({"a": torch.zeros(1)}, "/nowhere/at/all"),
    ],
)
def test_what_the_libraries_raise(tmp_path: Path, write: Callable[[], None]) -> None:
    """A RuntimeError of torch, a SafetensorError of safetensors."""
    with pytest.raises(CheckpointError, match="was not saved"), saving(tmp_path):
        write()


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:8586"),
        RuntimeError("shapes differ"),
        torch.OutOfMemoryError("CUDA out of memory"),
        KeyboardInterrupt(),
    ],
)
def test_leaves_other_errors_alone(tmp_path: Path, error: BaseException) -> None:
    """The end of another process while a checkpoint is written is no matter of the disk."""
    with pytest.raises(type(error)) as caught, saving(tmp_path):
        raise error
    assert caught.value is error
