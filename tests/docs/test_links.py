"""Links lead somewhere, and so do the names of tests and files that the pages give."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import PAGES, ROOT, blocks, name

if TYPE_CHECKING:
    from pathlib import Path

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_TEST = re.compile(r"`([\w/-]+\.py)::(\w+)`")
_SOURCE = re.compile(r"`((?:steermoe_core|plugins|experiments|tests)/[\w./-]+\.\w+)`")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links(page: Path) -> None:
    """Files exist, and headings that a link points to."""
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if not path.startswith(("http://", "https://")):
            file = (page.parent / path).resolve() if path else page
            assert file.exists(), f"{name(page)}: {target}"
            assert not anchor or anchor in _anchors(file), f"{name(page)}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_named_files_and_tests_exist(page: Path) -> None:
    """A page that says which test proves it may not outlive the test."""
    text = page.read_text(encoding="utf-8")
    for path, test in _TEST.findall(text):
        assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), f"{name(page)}: {path}::{test}"
    written = {block.path for block in blocks(page)}
    assert [
        path for path in _SOURCE.findall(text) if path not in written and not (ROOT / path).exists()
    ] == []


def test_every_page_is_in_the_index() -> None:
    """Nobody has to guess what there is."""
    linked = set(_LINK.findall((ROOT / "docs" / "README.md").read_text(encoding="utf-8")))
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in PAGES if page.parent != ROOT}
    assert pages - {"README.md"} <= linked


@pytest.mark.parametrize("picture", sorted((ROOT / "docs").rglob("*.svg")), ids=name)
def test_pictures_are_well_formed(picture: Path) -> None:
    """With a title for those who do not see them, and nothing that runs or is fetched."""
    text = picture.read_text(encoding="utf-8")
    root = ET.fromstring(text)  # noqa: S314 - our own file
    assert root.find("{http://www.w3.org/2000/svg}title") is not None
    assert not re.search(r"<script|href=|url\(http", text)


@cache
def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as Markdown viewers make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
