"""The table of every command: one set of cells, printed on a terminal, as Markdown or as LaTeX."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import attrs

from steermoe_core.system.printing import say, say_json, visible

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from rich.console import RenderableType
    from rich.text import Text

    from steermoe_core.system.terminal import Terminal

_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
    "…": r"\ldots{}", "–": "--", "→": r"$\to$", "×": r"$\times$",
}  # fmt: skip
_SPECIAL = re.compile("|".join(map(re.escape, _LATEX)))


@attrs.frozen
class Column:
    """A column of a table.

    :param name: its heading; a line break splits it on a terminal.
    :param align: where its cells are aligned.
    :param overflow: what a terminal without enough room does: fold a cell onto further lines, or cut it.
    :param least: characters that it is wide at least.
    """

    name: str
    align: Literal["left", "right"] = "left"
    overflow: Literal["fold", "cut"] = "fold"
    least: int | None = None


def words(*names: str) -> list[Column]:
    """Return columns of text of any length."""
    return [Column(name) for name in names]


def tags(*names: str) -> list[Column]:
    """Return columns of short text that is not folded."""
    return [Column(name, overflow="cut") for name in names]


def figures(*names: str) -> list[Column]:
    """Return columns of numbers."""
    return [Column(name, "right", "cut") for name in names]


@attrs.frozen
class Cell:
    """A text with a style of rich, such as `bold red`; the style is seen on a terminal only."""

    text: str
    style: str = ""


@attrs.frozen(kw_only=True)
class Table:
    """A table that a console of rich prints.

    :param title: one line above it.
    :param rows: cells of each row. A line break in a cell is a space outside a terminal. A sequence of cells
        is one cell, a line each. An empty row separates sections on a terminal.
    :param look: on a terminal, whether columns have two or three blanks between them, or boxes around them.
    :param on_terminal: what a terminal shows instead, if that needs fewer columns.
    """

    title: str = ""
    columns: Sequence[Column]
    rows: Sequence[Sequence[str | Cell | Sequence[Cell]]]
    look: Literal["close", "wide", "boxed"] = "close"
    on_terminal: Table | None = None

    def __rich__(self) -> RenderableType:
        """Return the table for a terminal."""
        if self.on_terminal is not None:
            return self.on_terminal.__rich__()
        from rich import box, table
        from rich.console import Group
        from rich.text import Text

        looks: dict[str, dict[str, Any]] = {
            "close": {"box": box.SIMPLE_HEAD, "show_edge": False, "padding": (0, 1, 0, 0)},
            "wide": {"box": box.SIMPLE_HEAD, "show_edge": False, "pad_edge": False},
            "boxed": {},
        }
        grid = table.Table(**looks[self.look])
        for column in self.columns:
            grid.add_column(
                Text(visible(column.name)),
                justify=column.align,
                no_wrap=column.overflow == "cut",
                overflow="fold" if column.overflow == "fold" else "ellipsis",
                min_width=column.least,
            )
        for row in self.rows:
            grid.add_row(*map(_styled, row))
        # A title of rich's own would be wrapped to the width of the table.
        return Group(Text(visible(self.title), "table.title"), grid) if self.title else grid

    def markdown(self) -> str:
        """Return a table of Markdown."""
        rules = ["---:" if column.align == "right" else "---" for column in self.columns]
        head, *body = ([text.replace("|", "\\|") for text in row] for row in self._texts())
        return "\n".join("| " + " | ".join(row) + " |" for row in (head, rules, *body))

    def latex(self) -> str:
        """Return a `tabular` with the rules of booktabs."""
        head, *body = (" & ".join(map(escaped, row)) + r" \\" for row in self._texts())
        return "\n".join(
            (
                f"% {self.title}; needs \\usepackage{{booktabs}}",
                f"\\begin{{tabular}}{{{''.join(column.align[0] for column in self.columns)}}}",
                "\\toprule",
                head,
                "\\midrule",
                *body,
                "\\bottomrule",
                "\\end{tabular}",
            )
        )

    def _texts(self) -> list[list[str]]:
        """Return the heading and the rows as texts of one line."""
        head = [column.name for column in self.columns]
        return [[_plain(cell).replace("\n", " ") for cell in row] for row in (head, *self.rows) if row]


def add_formats(parser: ArgumentParser) -> None:
    """Declare `--markdown`, `--latex` and `--json`, which exclude one another."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--markdown", action="store_true", help="print Markdown")
    group.add_argument("--latex", action="store_true", help="print LaTeX tables that use booktabs")
    group.add_argument("--json", action="store_true", help="print all figures as JSON")


def print_tables(
    tables: Sequence[Table],
    args: Namespace,
    console: Terminal,
    *,
    facts: Any,
    sentences: Sequence[str] = (),
) -> None:
    """Print tables, and sentences below them, in the format that the flags of `add_formats` select.

    :param facts: what `--json` prints.
    """
    if args.json:
        say_json(facts)
    elif args.markdown:
        titles = len(tables) > 1
        blocks = [f"{one.title}\n\n{one.markdown()}" if titles else one.markdown() for one in tables]
        say("\n\n".join([*blocks, *(["\n".join(f"* {one}" for one in sentences)] if sentences else [])]))
    elif args.latex:
        comments = ["\n".join(f"% {one}" for one in sentences)] if sentences else []
        say("\n\n".join([*(one.latex() for one in tables), *comments]))
    else:
        for table in tables:
            console.print(table)
            console.print()
        for sentence in sentences:
            console.print(sentence, soft_wrap=True)


def escaped(text: str) -> str:
    """Return a text of one line in which LaTeX prints every character as it stands."""
    return _SPECIAL.sub(lambda match: _LATEX[match[0]], text.replace("\n", " "))


def _plain(cell: str | Cell | Sequence[Cell]) -> str:
    if isinstance(cell, str):
        return cell
    return cell.text if isinstance(cell, Cell) else "\n".join(line.text for line in cell)


def _styled(cell: str | Cell | Sequence[Cell]) -> Text:
    from rich.text import Text

    if isinstance(cell, str):
        return Text(visible(cell))
    if isinstance(cell, Cell):
        return Text(visible(cell.text), cell.style)
    return Text("\n").join(map(_styled, cell))
