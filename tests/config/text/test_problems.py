"""The list of codes and the page that explains them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from steermoe_core.config.text.problems import CODES, Problem

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "errors.md"
GOLDENS = Path(__file__).parents[1] / "goldens"
SECTIONS = dict(
    re.findall(r"^## (E\d+): .*\n((?:(?!^## ).*\n)*)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
)


def test_the_page_has_every_code_with_its_meaning():
    """Same codes, same order, same words."""
    headings = re.findall(r"^## (E\d+): (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == list(CODES.items())


@pytest.mark.parametrize("code", CODES)
def test_every_example_on_the_page_is_real(code):
    """Each block is a problem that a golden file provokes, to the letter."""
    blocks = re.findall(r"```text\n(.*?)\n```", SECTIONS[code], re.DOTALL)
    goldens = [path.read_text(encoding="utf-8") for path in GOLDENS.glob("*.txt")]
    assert blocks
    for block in blocks:
        assert f"error[{code}]" in block
        assert any(f"{block}\n" in golden for golden in goldens)


def test_a_code_that_is_not_listed_is_a_mistake():
    """No problem without an entry in the list."""
    with pytest.raises(ValueError, match="E999"):
        Problem(code="E999", message="", file="x.toml")
