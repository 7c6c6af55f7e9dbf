"""Headings and lines that tables of scores share."""

from __future__ import annotations

import pytest

from steermoe_core.cli.shared.cells import heading, pathologies_line


@pytest.mark.parametrize(
    ("metric", "lines"),
    [
        ("wer", ["WER"]),
        ("wer-open-asr", ["WER", "open-asr"]),
        ("cer-zh", ["CER", "zh"]),
        ("exact-match", ["EXACT-MATCH"]),
        ("my-own", ["MY-OWN"]),
    ],
)
def test_a_rule_is_a_line_of_its_own(metric: str, lines: list[str]) -> None:
    """So that four rulers fit beside one another."""
    assert heading(metric).splitlines() == lines


def test_what_is_wrong_is_counted_in_a_line() -> None:
    """Only what there is; nothing where nothing is wrong."""
    line = pathologies_line({"loop": 2, "empty": 0, "refusal": 1}, 10)

    assert line == "2 loop, 1 refusal among 10 answers (`steermoe score RUN --pathologies` shows them)"
    assert pathologies_line({"loop": 0}, 10) is None
