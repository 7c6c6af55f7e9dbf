"""A problem as a terminal shows it: place, sentence, the line, a caret under the exact span.

::

    experiments/asr.toml:14:1  error[E102] unknown key "stepz" in [train]
       14 | stepz = 100
          | ^^^^^ did you mean "steps"?
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from unicodedata import east_asian_width

if TYPE_CHECKING:
    from steermoe_core.config.problems import Problem

_GUTTER = 5
#: Characters shown before, in and behind the marked part.
_LONGEST = 100


def render(problem: Problem) -> str:
    """Return the lines of one problem, without a line end."""
    lines = [f"{_place(problem)}  error[{problem.code}] {problem.message}"]
    if problem.source is not None and problem.column is not None:
        lines += _snippet(problem.source, problem.line, problem.column, problem.width, problem.hint)
    elif problem.hint:
        lines.append(f"{'':{_GUTTER}} = {problem.hint}")
    lines += [f"{'':{_GUTTER}} = note: {note}" for note in problem.notes]
    return "\n".join(lines)


def _place(problem: Problem) -> str:
    if problem.line is None:
        return problem.file
    return f"{problem.file}:{problem.line}:{problem.column}"


def _snippet(source: str, line: int | None, column: int, width: int, hint: str) -> list[str]:
    source = "".join(
        character if character.isprintable() or character == "\t" else "\N{REPLACEMENT CHARACTER}"
        for character in source
    )
    before, marked, after = (
        source[: column - 1],
        source[column - 1 : column - 1 + width],
        source[column - 1 + width :],
    )
    before, marked, after = _ending(before), _beginning(marked), _beginning(after)
    source = before + marked + after
    carets = "^" * max(1, sum(map(_cells, marked)))
    return [
        f"{'' if line is None else line:>{_GUTTER}} | {source}".rstrip(),
        f"{'':{_GUTTER}} | {_padding(before)}{carets} {hint}".rstrip(),
    ]


def _ending(text: str) -> str:
    return text if len(text) <= _LONGEST else f"…{text[-_LONGEST:]}"


def _beginning(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _padding(text: str) -> str:
    """Return blanks as wide as the text; a tab stays a tab."""
    return "".join("\t" if character == "\t" else " " * _cells(character) for character in text)


def _cells(character: str) -> int:
    return 2 if east_asian_width(character) in "WF" else 1
