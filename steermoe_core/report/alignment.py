"""A reference and an answer, unit by unit: what was said, replaced, left out, added."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapidfuzz.distance import Levenshtein

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.evaluate.metrics import Units

Piece = dict[str, str]


def aligned(units: Units) -> list[Piece]:
    """Return the pieces of an alignment with the fewest edits, as jiwer counts them.

    :returns: of each piece `kind` ("same", "substitution", "deletion" or "insertion"), and its text in the
        `reference` and the `hypothesis`; an edit is of one unit, and what is the same is in one piece.
    """
    return list(_pieces(units.reference, units.hypothesis, units.between))


def _pieces(wanted: Sequence[str], said: Sequence[str], between: str) -> Iterator[Piece]:
    for step in Levenshtein.opcodes(wanted, said):
        one, other = wanted[step.src_start : step.src_end], said[step.dest_start : step.dest_end]
        if step.tag == "equal":
            yield _piece("same", between.join(one), between.join(other))
        elif step.tag == "insert":
            yield from (_piece("insertion", "", unit) for unit in other)
        elif step.tag == "delete":
            yield from (_piece("deletion", unit, "") for unit in one)
        else:
            yield from (_piece("substitution", *pair) for pair in zip(one, other, strict=True))


def _piece(kind: str, reference: str, hypothesis: str) -> Piece:
    return {"kind": kind, "reference": reference, "hypothesis": hypothesis}
