"""A plugin in the process that examines it: what it offers, what it costs, what it was doing last."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from steermoe_core.plugins.discovery import Entry
from steermoe_core.plugins.examine import examine
from steermoe_core.plugins.plugin import Plugin
from tests.host import COMPONENT, HEAD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Site

PART = HEAD + "@hookimpl\ndef steermoe_encoders():\n  yield " + COMPONENT.format(api=1)
LIFE = "\n@hookimpl\ndef steermoe_after_run(folder): ...\n"


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """Forget what the plugin put in the place of its module."""
    yield
    sys.modules.pop("fake_odd", None)


def _entry(site: Site, source: str) -> Entry:
    return Entry("odd", site.add("odd", source), "steermoe-odd", "1.0", str(site.folder))


def test_offer_and_hooks(site: Site) -> None:
    """Components and life-cycle hooks are part of the record, and the steps are told in their order."""
    steps: list[str] = []

    odd = examine(_entry(site, PART + LIFE), steps.append)

    assert [(kind, part.name) for kind, part in odd.components] == [("encoder", "odd")]
    assert odd.hooks == ("steermoe_after_run",)
    assert steps == [
        "its import",
        "its hook steermoe_encoders",
        'importing the settings of its encoder "odd"',
    ]


def test_record_survives_json(site: Site) -> None:
    """What is kept is what was found."""
    odd = examine(_entry(site, PART + LIFE))

    assert Plugin.from_json(odd.to_json()) == odd


def test_interrupt_is_a_verdict(site: Site) -> None:
    """No user presses Ctrl-C there: a plugin that raises KeyboardInterrupt is broken."""
    assert examine(_entry(site, "raise KeyboardInterrupt")).reason == "its import raised KeyboardInterrupt"


def test_object_whose_names_cannot_be_listed(site: Site) -> None:
    """`__dir__` and `__getattr__` of a plugin are the plugin's code as well."""
    source = "import sys\nclass P:\n  def __dir__(self):\n    raise ValueError('no names')\n"
    source += "sys.modules[__name__] = P()"

    odd = examine(_entry(site, source))

    assert odd.reason is not None
    assert odd.reason.startswith("listing its names failed: ValueError: no names (")


def test_error_without_message(site: Site) -> None:
    """An error whose str() raises still gives a reason."""
    source = "class E(Exception):\n  def __str__(self):\n    raise self\nraise E"

    assert str(examine(_entry(site, source)).reason).startswith(
        "its import failed: E: its message cannot be read, str() of it raised E"
    )


def test_object_in_place_of_the_module(site: Site) -> None:
    """A number has no hooks."""
    reason = examine(_entry(site, "import sys\nsys.modules[__name__] = 3")).reason

    assert reason == "it has no hook, so it offers nothing"


def test_message_moves_no_terminal(site: Site) -> None:
    """Control sequences and ten megabytes of text come out as one short line."""
    source = r"raise ValueError('\x1b[2J\x1b]0;title\x07a\nb\x9bc\u202ed' + 'x' * 10_000_000)"

    odd = examine(_entry(site, source))

    assert odd.reason is not None
    assert odd.reason.startswith("its import failed: ValueError: a b\N{REPLACEMENT CHARACTER}c")
    assert odd.reason.isprintable()
    assert len(odd.reason) < 500
    assert len(odd.trace or "") <= 20_000
