"""The page about the conformance kit says what the suites do, and all of it."""

from __future__ import annotations

from docs.generate import conformance
from steermoe_core.component import KINDS
from steermoe_core.testing import runner, suite
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "reference" / "conformance.md"


def test_the_page_is_up_to_date() -> None:
    """The committed page equals what the code gives."""
    renew = "renew it: python -m docs.generate.conformance > docs/reference/conformance.md"
    assert PAGE.read_text(encoding="utf-8") == conformance.reference(), renew


def test_every_check_says_what_must_hold() -> None:
    """Each has a docstring, and is on the page under its kind."""
    page = PAGE.read_text(encoding="utf-8")
    for kind in KINDS:
        found = runner.suite_class(kind)
        own = page.partition(f"`{found.__name__}`\n")[2].partition("\n## ")[0]
        for name, text in suite.checks(found).items():
            assert text
            assert f"| `{name}` |" in (page if name in suite.checks(suite.Suite) else own)
