"""One table for a terminal, a Markdown page or a paper in LaTeX: the same cells in each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.system.printing import say

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Sequence

    from steermoe_core.system.terminal import Terminal

_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
    "…": r"\ldots{}", "–": "--", "→": r"$\to$", "×": r"$\times$",
}  # fmt: skip
_SPECIAL = re.compile("|".join(map(re.escape, _LATEX)))


@attrs.frozen(kw_only=True)
class Sheet:
    """A table of text.

    :param title: one line.
    :param columns: their names; a line break in a name or a cell is one on a terminal, and a space elsewhere.
    :param lines: the cells, row by row.
    :param words: the first so many columns are words, the others figures.
    """

    title: str
    columns: Sequence[str]
    lines: Sequence[Sequence[str]]
    words: int = 1


def add_formats(parser: ArgumentParser) -> None:
    """Declare `--markdown`, `--latex` and `--json`, of which a line may have one."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--markdown", action="store_true", help="print Markdown")
    group.add_argument("--latex", action="store_true", help="print tables of LaTeX's booktabs")
    group.add_argument("--json", action="store_true", help="print every figure as JSON")


def print_sheets(
    sheets: Sequence[Sheet],
    sentences: Sequence[str],
    args: Namespace,
    console: Terminal,
    grid: Callable[[Sheet], Any] | None = None,
) -> None:
    """Print tables, and sentences below them, in the form that the flags ask for.

    :param grid: makes the table for a terminal; the plain one by default.
    """
    if args.markdown:
        titled = (
            f"{sheet.title}\n\n{markdown(sheet)}" if len(sheets) > 1 else markdown(sheet) for sheet in sheets
        )
        say("\n\n".join([*titled, *(["\n".join(f"* {one}" for one in sentences)] if sentences else [])]))
    elif args.latex:
        said = "\n".join(f"% {one}" for one in sentences)
        say("\n\n".join([*map(latex, sheets), *([said] if said else [])]))
    else:
        for sheet in sheets:
            console.print((grid or terminal)(sheet))
            console.print()
        for one in sentences:
            console.print(one, soft_wrap=True)


def markdown(sheet: Sheet) -> str:
    """Return a table of Markdown."""
    rules = ["---" if number < sheet.words else "---:" for number in range(len(sheet.columns))]
    rows = [list(map(_piped, sheet.columns)), rules, *(list(map(_piped, line)) for line in sheet.lines)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def latex(sheet: Sheet) -> str:
    """Return a `tabular` with the rules of booktabs; every character stands for itself."""
    columns = "".join("l" if number < sheet.words else "r" for number in range(len(sheet.columns)))
    head, *body = ([escaped(cell) for cell in line] for line in (sheet.columns, *sheet.lines))
    rows = [
        f"% {sheet.title}; needs \\usepackage{{booktabs}}",
        f"\\begin{{tabular}}{{{columns}}}",
        "\\toprule",
        " & ".join(head) + r" \\",
        "\\midrule",
        *(" & ".join(line) + r" \\" for line in body),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return "\n".join(rows)


def terminal(sheet: Sheet) -> Any:
    """Return a table of rich: words are folded where there is no room, figures are not cut."""
    from rich.text import Text

    table = empty_grid(sheet.title)
    for number, column in enumerate(sheet.columns):
        if number < sheet.words:
            table.add_column(column, overflow="fold")
        else:
            table.add_column(column, justify="right", no_wrap=True)
    for line in sheet.lines:
        table.add_row(*map(Text, line))
    return table


def empty_grid(title: str) -> Any:
    """Return a table of rich in the style of all of them."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    return Table(
        title=Text(title), title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0)
    )


def escaped(text: str) -> str:
    """Return a text that LaTeX prints as it is."""
    return _SPECIAL.sub(lambda match: _LATEX[match[0]], text.replace("\n", " "))


def _piped(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")
