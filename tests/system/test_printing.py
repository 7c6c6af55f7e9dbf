"""Nothing that a file says reaches a terminal as anything but text."""

from __future__ import annotations

import io
import json
import re
import sys
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from steermoe_core.system.printing import UNSAFE, complain, safe_json, say, say_json, visible
from steermoe_core.system.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTILE = "a\x07\x1b[31mb\x9b2J\u202ec\r[bold]d[/] :car: \ud800"
SHOWN = r"a\x07\x1b[31mb\x9b2J\u202ec\x0d[bold]d[/] :car: \ud800"


def test_unsafe_is_what_moves_rings_or_turns() -> None:
    """Every control character but tab and line feed, every Bidi_Control, line separators, lone surrogates."""
    everything = map(chr, range(sys.maxunicode + 1))
    kinds = {one: unicodedata.category(one) for one in everything}
    wanted = {one for one, kind in kinds.items() if kind in {"Cc", "Cs", "Zl", "Zp"}} - set("\t\n")
    turning = set(map(chr, [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]))

    assert wanted | turning == UNSAFE


def test_text_is_shown_with_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    """On both streams; tabs and line breaks stay, and so does all that is safe."""
    say(HOSTILE)
    complain(f"{HOSTILE}\n\tzwölf 十二")

    assert capsys.readouterr() == (f"{SHOWN}\n", f"{SHOWN}\n\tzwölf 十二\n")


@given(value=st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_keeps_its_data(value: Any) -> None:
    """It is read back as it was, and has no unsafe character."""
    text = safe_json(json.dumps(value, ensure_ascii=False))

    assert not UNSAFE & set(text)
    assert json.loads(text) == value


def test_json_of_values_that_json_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    """They are their text."""
    say_json({"at": re.compile("x").flags, "of": {HOSTILE}}, indent=None)

    assert capsys.readouterr().out.startswith('{"at": 32, "of": "{')


def table(*cells: str | Text) -> Table:
    """Return a table with a hostile title, head and cells."""
    made = Table(title=HOSTILE)
    for cell in cells:
        made.add_column(HOSTILE, footer=cell)
    made.add_row(*cells)
    return made


@pytest.mark.parametrize("colour", ["", "1"])
@pytest.mark.parametrize(
    "shown",
    [
        lambda console: console.print(HOSTILE),
        lambda console: console.print(HOSTILE, style="red", soft_wrap=True),
        lambda console: console.print(Text(HOSTILE, "red")),
        lambda console: console.print(table(HOSTILE, Text(HOSTILE, "bold"))),
        lambda console: console.print(Text.assemble((HOSTILE, "red"), HOSTILE)),
    ],
)
def test_terminal_prints_text(
    shown: Callable[[Terminal], None], colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Markup and names of emojis are text; the only control sequences are the colours of rich itself."""
    monkeypatch.setenv("COLUMNS", "400")
    if colour:
        monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)

    shown(Terminal())

    text = re.sub(r"\x1b\[[\d;]*m", "", stream.getvalue()) if colour else stream.getvalue()
    assert not UNSAFE & set(text)
    assert r"\x1b[31mb\x9b2J\u202ec" in text
    assert "[bold]d[/] :car:" in text


def test_visible_leaves_other_text_alone() -> None:
    """Accents, wide letters and emojis are no harm."""
    assert visible("café – 十二 👩‍👩‍👧 \t\n") == "café – 十二 👩‍👩‍👧 \t\n"
