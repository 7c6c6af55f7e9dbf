"""The same cells as a table of Markdown, of LaTeX, and for a terminal."""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.cli.shared.table import Cell, Table, add_formats, escaped, figures, print_tables, words
from steermoe_core.system.terminal import Terminal

TABLE = Table(
    title="scores of a_b",
    columns=[*words("run"), *figures("WER\n(95 %)")],
    rows=[["a_b|c", "0.318\n(0.234 … 0.410)"], [], [[Cell("x &", "bold"), Cell("y")], Cell("–", "dim")]],
)


def flags(*words: str):
    """Return the flags of a line."""
    parser = ArgumentParser()
    add_formats(parser)
    return parser.parse_args(words)


def test_markdown() -> None:
    """A cell stays one cell, styles and sections vanish; figures are aligned right."""
    assert TABLE.markdown().splitlines() == [
        "| run | WER (95 %) |",
        "| --- | ---: |",
        "| a_b\\|c | 0.318 (0.234 … 0.410) |",
        "| x & y | – |",
    ]


def test_latex() -> None:
    """Rules of booktabs, and every special character escaped."""
    assert TABLE.latex().splitlines() == [
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
    print_tables([TABLE, TABLE], flags(form), Terminal(), facts=None, sentences=["one seed"])

    out = capsys.readouterr().out
    assert shown in out
    assert out.endswith({"--markdown": "\n\n* one seed\n", "--latex": "\n\n% one seed\n"}[form])


def test_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets are text, not colours."""
    table = Table(title="[red]t", columns=words("a", "b"), rows=[["[bold]x", "[1–2]"]])
    print_tables([table], flags(), Terminal(), facts=None, sentences=["[done]"])

    out = capsys.readouterr().out
    assert all(word in out for word in ("[red]t", "[bold]x", "[1–2]", "[done]"))


def test_terminal_without_room(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Words are folded and sections separated by a blank line; figures and the title stay whole."""
    monkeypatch.setenv("COLUMNS", "24")
    table = Table(
        title="a title wider than this",
        columns=[*words("run"), *figures("WER")],
        rows=[["a-very-long-name-of-a-run", "0.123456789"], [], ["b", "–"]],
    )

    Terminal().print(table)

    title, *lines = (line.rstrip() for line in capsys.readouterr().out.splitlines())
    assert title == "a title wider than this"
    assert [line.split() for line in lines] == [
        ["run", "WER"], ["─" * 24], ["a-very-lon", "0.123456789"], ["g-name-of-"], ["a-run"], [], ["b", "–"],
    ]  # fmt: skip


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The facts alone, not their wording."""
    print_tables([TABLE], flags("--json"), Terminal(), facts={"wer": 0.318}, sentences=["one seed"])

    assert json.loads(capsys.readouterr().out) == {"wer": 0.318}
