"""The same cells as a table of Markdown, of LaTeX, and for a terminal."""

from __future__ import annotations

import re
from argparse import ArgumentParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.cli.shared.table_formats import Sheet, add_formats, escaped, latex, markdown, print_sheets
from steermoe_core.system.terminal import Terminal

SHEET = Sheet(
    title="scores of a_b",
    columns=["run", "WER\n(95 %)"],
    lines=[["a_b|c", "0.318\n(0.234 … 0.410)"], ["x & y", "–"]],
)


def flags(*words: str):
    """Return the flags of a line."""
    parser = ArgumentParser()
    add_formats(parser)
    return parser.parse_args(words)


def test_markdown() -> None:
    """A cell stays one cell; figures stand right."""
    assert markdown(SHEET).splitlines() == [
        "| run | WER (95 %) |",
        "| --- | ---: |",
        "| a_b\\|c | 0.318 (0.234 … 0.410) |",
        "| x & y | – |",
    ]


def test_latex() -> None:
    """Rules of booktabs, and every special character escaped."""
    assert latex(SHEET).splitlines() == [
        "% scores of a_b; needs \\usepackage{booktabs}",
        "\\begin{tabular}{lr}",
        "\\toprule",
        r"run & WER (95 \%) \\",
        "\\midrule",
        r"a\_b\textbar{}c & 0.318 (0.234 \ldots{} 0.410) \\",
        r"x \& y & -- \\",
        "\\bottomrule",
        "\\end{tabular}",
    ]


@given(st.text(alphabet=st.sampled_from('ab&%$#_{}~^\\<>|"…–→×\n ')))
def test_latex_has_no_bare_special_character(text: str) -> None:
    """Whatever a name holds: what is left when all commands are taken away is harmless, and short."""
    found = escaped(text)
    bare = re.sub(r"\\[a-z]+\{\}|\\[&%$#_{}]|\$\\[a-z]+\$", "", found)
    assert not re.search(r"[&%$#_{}~^\\<>|\"\n]", bare)
    assert len(re.findall("[ab]", bare)) == len(re.findall("[ab]", text))


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("--markdown", "scores of a_b\n\n| run"),
        ("--latex", "\\end{tabular}\n\n% scores of a_b"),
    ],
)
def test_several_tables_and_sentences(form: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Titles where there are several; sentences as a list, or as comments."""
    print_sheets([SHEET, SHEET], ["one seed"], flags(form), Terminal())

    out = capsys.readouterr().out
    assert shown in out
    assert out.endswith({"--markdown": "\n\n* one seed\n", "--latex": "\n\n% one seed\n"}[form])


def test_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets are text, not colours."""
    sheet = Sheet(title="[red]t", columns=["a", "b"], lines=[["[bold]x", "[1–2]"]])
    print_sheets([sheet], ["[done]"], flags(), Terminal())

    out = capsys.readouterr().out
    assert all(word in out for word in ("[red]t", "[bold]x", "[1–2]", "[done]"))
