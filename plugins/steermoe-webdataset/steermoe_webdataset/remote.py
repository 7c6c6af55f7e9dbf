"""Files behind paths and URLs: which there are, their identity, their bytes."""

from __future__ import annotations

import re
import tarfile
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fsspec.core import url_to_fs

from steermoe_core import DataError, SetupError, SteermoeError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_PATTERN = re.compile(r"[*?\[]")


def found(pattern: str) -> list[str]:
    """Return the files of a pattern: ranges and lists in braces in their order, matches by number and name.

    :raises DataError: there is none.
    :raises SetupError: the protocol of the URL needs a package that is not installed.
    """
    names = [name for one in _unfolded(pattern) for name in _matches(one)]
    if not names:
        msg = f"{pattern}: there is no such file"
        raise DataError(msg)
    return names


def identity(url: str) -> str:
    """Return what changes with the content of a file: its size, its time, or what the server has instead.

    :raises DataError: there is no such file.
    """
    with _reading(url):
        system, path = url_to_fs(url)
        return f"{system.ukey(path)} {system.size(path)}"


@contextmanager
def opened(url: str, ahead: int | None = None) -> Iterator[Any]:
    """Open a file to be read from its beginning to its end, with seeks forward.

    :param ahead: bytes that are fetched beyond those that are read; None leaves the protocol's.
    :raises DataError: it cannot be read.
    """
    with _reading(url):
        system, path = url_to_fs(url)
        with system.open(path, "rb", block_size=ahead) as file:
            yield file


def content(url: str, start: int, size: int) -> bytes:
    """Return a range of a file.

    :raises DataError: it cannot be read, or ends before.
    """
    with _reading(url):
        system, path = url_to_fs(url)
        data: bytes = system.cat_file(path, start, start + size)
    if len(data) != size:
        msg = f"{url}: {len(data)} bytes came at {start}, not {size}; the file was cut off or changed"
        raise DataError(msg)
    return data


@contextmanager
def _reading(url: str) -> Iterator[None]:
    """Turn what fsspec and its transports raise into sentences."""
    try:
        yield
    except (SteermoeError, tarfile.TarError):  # about the content
        raise
    except FileNotFoundError as error:  # of http for every failure, which is then its cause
        if error.__cause__ and getattr(error.__cause__, "status", None) != HTTPStatus.NOT_FOUND:
            raise _unreadable(url, error.__cause__) from error
        msg = f"{url}: there is no such file"
        raise DataError(msg) from None
    except (ImportError, ValueError) as error:  # a package is missing; fsspec does not know the protocol
        msg = f"{url}: {error}"
        raise SetupError(msg) from None
    except Exception as error:  # every protocol has its own
        raise _unreadable(url, error) from error


def _unreadable(url: str, error: BaseException) -> DataError:
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return DataError(f"{url}: cannot be read ({reason})")


def _unfolded(pattern: str) -> Iterator[str]:
    """Yield a pattern for each value of its first braces: `{000..127}` or `{clean,other}`."""
    braces = _BRACES.search(pattern)
    if not braces:
        yield pattern
        return
    values = braces[1].split(",")
    if limits := _RANGE.fullmatch(braces[1]):
        first, last = limits.groups()
        values = [f"{number:0{len(first)}}" for number in range(int(first), int(last) + 1)]
    for value in values:
        yield from _unfolded(pattern[: braces.start()] + value + pattern[braces.end() :])


def _matches(pattern: str) -> list[str]:
    if not _PATTERN.search(pattern):
        return [pattern]
    with _reading(pattern):
        system, path = url_to_fs(pattern)
        matches = sorted(map(str, system.glob(path)), key=_natural)
    return [str(system.unstrip_protocol(match)) for match in matches] if "://" in pattern else matches


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts numbers in names by their value."""
    pieces = re.split(r"(\d+)", name)
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in pieces]
