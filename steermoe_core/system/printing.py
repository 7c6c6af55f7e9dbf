r"""What every command prints with: no text of a file moves the cursor, rings the bell or changes direction.

Clip ids, labels, transcripts and experiment files are written by others. Their control characters, and those
that change the direction of text, are printed as visible escapes such as ``\x1b`` and ``\u202e``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import TextIO

#: Control characters but tab and line feed, line separators, Unicode's Bidi_Control, and lone surrogates.
UNSAFE = frozenset(
    chr(number)
    for first, last in (
        (0x00, 0x08), (0x0B, 0x1F), (0x7F, 0x9F), (0x061C, 0x061C), (0x200E, 0x200F), (0x2028, 0x202E),
        (0x2066, 0x2069), (0xD800, 0xDFFF),
    )
    for number in range(first, last + 1)
)  # fmt: skip
_HEX = {ord(one): f"\\u{ord(one):04x}" for one in UNSAFE}
_SHORT = {number: text.replace("u00", "x") for number, text in _HEX.items()}


def visible(text: str) -> str:
    """Return a text with its unsafe characters as escapes of two hex digits, or four."""
    return text.translate(_SHORT)


def safe_json(text: str) -> str:
    """Return JSON or TOML, the unsafe characters in its strings escaped as both formats write them."""
    return text.translate(_HEX)


def say(text: object = "", *, file: TextIO | None = None) -> None:
    """Print a text and a line break.

    :param file: where to; stdout by default.
    """
    out = sys.stdout if file is None else file
    out.write(f"{visible(str(text))}\n")
    out.flush()


def complain(text: object) -> None:
    """Print a text and a line break on stderr."""
    say(text, file=sys.stderr)


def say_json(value: Any, *, indent: int | None = 2) -> None:
    """Print a value as JSON, unsafe characters escaped; a value that JSON does not know is its text.

    :param value: plain values and records.
    """
    import json

    say(safe_json(json.dumps(value, indent=indent, ensure_ascii=False, default=_plain)))


def _plain(value: Any) -> Any:
    if not hasattr(value, "__attrs_attrs__"):
        return str(value)
    from steermoe_core.system.records import plain

    return plain(value)
