"""The sets: names of their files, by which the leaderboard's scripts find them."""

from __future__ import annotations

import pytest

from steermoe_leaderboard.sets import SETS

#: What those scripts look for in the name of a manifest.
KEYS = {
    "ami_cleaned": "ami_cleaned_test",
    "earnings22_cleaned_aa_chunked": "Earnings22-Cleaned-AA-chunked__test",
    "gigaspeech_cleaned": "gigaspeech_cleaned_test",
    "librispeech_test.clean": "librispeech_test.clean",
    "librispeech_test.other": "librispeech_test.other",
    "spgispeech": "spgispeech_test",
    "monsoon_en_in": "Monsoon_en_IN_test__test",
    "voxpopuli_cleaned_aa": "voxpopuli_cleaned_aa_test",
}


def test_there_are_eight() -> None:
    """No set is missing, and none is there twice."""
    assert [one.name for one in SETS] == list(KEYS)


@pytest.mark.parametrize("one", SETS, ids=lambda one: one.name)
def test_manifest(one) -> None:
    """The name has the model, and the key of exactly one set."""
    name = one.manifest("me/tiny")

    assert name.startswith("MODEL_me-tiny_DATASET_")
    assert name.endswith(".jsonl")
    assert [key for key in KEYS.values() if key in name] == [KEYS[one.name]]
