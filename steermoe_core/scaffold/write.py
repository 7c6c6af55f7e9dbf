"""Writing a new plugin: the whole folder or nothing."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from steermoe_core.errors import SetupError, UsageError
from steermoe_core.plugins.plugin import ENGINE
from steermoe_core.scaffold.templates import distribution

if TYPE_CHECKING:
    from collections.abc import Mapping

    from steermoe_core.scaffold.names import Names


def write(names: Names, folder: Path) -> Path:
    """Write a plugin's distribution and return its folder.

    :param folder: where it is put.
    :raises UsageError: there is no such folder, or something in it has the plugin's name.
    :raises SetupError: it cannot be written; nothing is left of it.
    """
    final = folder / names.distribution
    if not folder.is_dir():
        msg = f"{folder} is no folder; make it first, or choose another with --folder"
        raise UsageError(msg)
    if final.exists() or final.is_symlink():
        msg = f"{final} is there already; move it away, or choose another name or --folder"
        raise UsageError(msg)
    try:
        with TemporaryDirectory(prefix=f".{names.distribution}-", dir=folder) as place:
            partial = Path(place, names.distribution)
            _write_files(distribution(names, requirement()), partial)
            partial.rename(final)
    except OSError as error:
        msg = f"{final} cannot be written ({error.strerror}); nothing is left of it"
        raise SetupError(msg) from error
    return final


def requirement() -> str:
    """Return what a plugin of today depends on: this engine, up to its next version that may break it."""
    try:
        own = version(ENGINE)
    except PackageNotFoundError:
        return ENGINE
    major, minor = map(int, own.split(".")[:2])
    following = f"0.{minor + 1}" if major == 0 else str(major + 1)
    return f"{ENGINE}>={major}.{minor},<{following}"


def _write_files(texts: Mapping[str, str], folder: Path) -> None:
    for path, text in texts.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
