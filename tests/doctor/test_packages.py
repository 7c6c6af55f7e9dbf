"""What the doctor says of Python and of packages, from metadata alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import tomli

from steermoe_core.doctor import packages
from steermoe_core.plugins.requirements import bringing, unmet
from tests.conftest import ROOT

if TYPE_CHECKING:
    from conftest import Site

PROJECT = tomli.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture
def engine(site: Site, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let a distribution with requirements of our choice stand for steermoe."""
    site.info("steermoe-like", "1.0", "")
    monkeypatch.setattr(packages, "ENGINE", "steermoe-like")
    return str(site.folder / "steermoe_like-1.0.dist-info" / "METADATA")


def write(file: str, *lines: str) -> list[tuple[str, str]]:
    """Add lines to the metadata and return code and mend of each finding."""
    with open(file, "a", encoding="utf-8") as metadata:  # noqa: PTH123 - a fixture's text
        metadata.write("".join(f"{line}\n" for line in lines))
    return [(finding.code, finding.mend) for finding in packages.packages()]


def test_this_installation_is_whole() -> None:
    """The tests run where every requirement of steermoe is met."""
    assert [finding for finding in packages.packages() if finding.level == "error"] == []


def test_missing_and_old_packages(engine: str) -> None:
    """Both are errors, with the command that brings the right one."""
    assert write(engine, "Requires-Dist: torchodyo", "Requires-Dist: attrs>=9999") == [
        ("package-requirement", "`pip install torchodyo`"),
        ("package-requirement", "`pip install 'attrs>=9999'`"),
    ]


def test_another_python(engine: str) -> None:
    """The Python that steermoe requires is in its metadata."""
    ((code, mend),) = write(engine, "Requires-Python: >=4")
    assert code == "python-version"
    assert "make setup PYTHON=" in mend


@pytest.mark.parametrize("extra", packages.NEEDED_BY)
def test_optional_packages_are_notes(extra: str, engine: str) -> None:
    """They say what needs them."""
    assert write(engine, f'Requires-Dist: torchodyo>=1; extra == "{extra}"') == [
        ("package-optional", "`pip install 'torchodyo>=1'`")
    ]


def test_every_extra_says_what_needs_it() -> None:
    """The extras of pyproject.toml, but for the one for work on steermoe itself."""
    assert set(packages.NEEDED_BY) == set(PROJECT["optional-dependencies"]) - {"test"}


def test_the_facts_name_what_is_installed() -> None:
    """Versions of Python and of the packages that decide most; none is imported for them."""
    facts = packages.facts()
    assert re.fullmatch(r"3\.\d+\..+", str(facts["python"]))
    assert all(facts[name] for name in packages.SHOWN)


def test_imports_happen_in_another_process(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that fails is told with the command that brings it anew; one that ends the process, too."""
    monkeypatch.setattr(packages, "SHOWN", ("fine", "torn"))
    monkeypatch.setenv("PYTHONPATH", str(site.folder))
    (site.folder / "fine.py").write_text("")
    (site.folder / "torn.py").write_text("raise OSError('libcudart is gone\\nmore')")

    cuda, (finding,) = packages.imports()
    assert (cuda, finding.what) == (None, "torn cannot be imported: OSError: libcudart is gone")
    assert finding.mend == "`pip install --force-reinstall torn`"

    (site.folder / "fine.py").write_text("import os\nos.abort()")
    _, (finding,) = packages.imports()
    assert "ended with code -6" in finding.what


def test_requirements_of_no_distribution() -> None:
    """Nothing is required by what is not there."""
    assert list(unmet("no-such-distribution")) == []
    assert bringing("torchodyo", "no-such-distribution") is None
