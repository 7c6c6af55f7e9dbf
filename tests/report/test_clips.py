"""The worst clips come first; alignments lose nothing and count as jiwer does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.evaluate.accuracy import ExactMatch
from steermoe_core.evaluate.config import CerConfig, ExactMatchConfig, WerConfig
from steermoe_core.evaluate.metrics import Cer, Metric, Units, Wer
from steermoe_core.plugins import load_registry
from steermoe_core.report.clips import aligned, clips
from steermoe_core.report.runs import read_runs
from tests.predictions import predicted

if TYPE_CHECKING:
    from tests.report.shelf import Shelf

words = st.lists(st.sampled_from(["a", "b", "cc", "ö", "<b>"]), max_size=12)


@given(words, words)
def test_both_sides_can_be_read_off(wanted: list[str], said: list[str]) -> None:
    """The pieces in their order are the reference and the answer; the edits are the fewest."""
    pieces = aligned(Units(wanted, said, " "))

    assert " ".join(piece.reference for piece in pieces if piece.reference) == " ".join(wanted)
    assert " ".join(piece.hypothesis for piece in pieces if piece.hypothesis) == " ".join(said)
    found = jiwer.process_words(" ".join(wanted), " ".join(said))
    kinds = [piece.kind for piece in pieces]
    assert [kinds.count(kind) for kind in ("substitution", "deletion", "insertion")] == [
        found.substitutions, found.deletions, found.insertions,
    ]  # fmt: skip


def test_an_edit_is_a_piece_and_what_is_the_same_is_one() -> None:
    """As the page shows it."""
    wanted, said = ["press", "one", "to", "send", "it"], ["press", "two", "to", "send", "it", "now"]

    pieces = aligned(Units(wanted, said, " "))

    assert [(piece.kind, piece.reference, piece.hypothesis) for piece in pieces] == [
        ("same", "press", "press"),
        ("substitution", "one", "two"),
        ("same", "to send it", "to send it"),
        ("insertion", "", "now"),
    ]


@pytest.mark.parametrize("metric", [Wer(WerConfig()), Cer(CerConfig()), Wer(WerConfig(normalise="raw"))])
@given(st.text("aB ,.ß中", max_size=20), st.text("aB ,.ß中", max_size=20))
def test_units_are_what_the_metric_counts(metric: Metric, hypothesis: str, reference: str) -> None:
    """So an alignment has as many edits, and as many reference units, as the score says."""
    prediction = predicted(hypothesis, reference)

    units, edits = metric.units(prediction), metric.edits(prediction)

    assert units is not None
    assert len(units.reference) == edits.reference
    assert sum(piece.kind != "same" for piece in aligned(units)) == edits.errors


def test_whole_answers_have_no_units() -> None:
    """An accuracy aligns nothing."""
    assert ExactMatch(ExactMatchConfig()).units(predicted("yes", "no")) is None


def test_the_worst_come_first(shelf: Shelf) -> None:
    """By errors, then by name; what is right is not among them."""
    found = clips(read_runs([shelf.run()], load_registry()), load_registry())

    (split,) = found.content["splits"]
    assert [clip["id"] for clip in split["worst"]] == ["002.wav", "001.wav", "003.wav"]
    assert (split["wrong"], split["clips"], split["errors"], split["all_errors"]) == (3, 6, 4, 4)
    assert all(clip["sound"] for clip in split["worst"])
