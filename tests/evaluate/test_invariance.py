"""Whether clips depend on their batch is measured: nothing where they do not, much where they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from steermoe_core.data.collators import AsrCollator
from steermoe_core.data.config import AsrConfig, FolderConfig
from steermoe_core.data.sources import folder
from steermoe_core.evaluate.invariance import invariance, mixed
from tests.misbehaving import Crowd
from tests.parts import TinyConfig, TinyEncoder, joined
from tests.tiny import write_folder

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.data.example import Example


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    """Return ten clips that grow longer."""
    return list(folder(FolderConfig(path=write_folder(tmp_path / "clips"))))


def test_clips_of_different_lengths_are_chosen(examples: list[Example]) -> None:
    """Up to four, the longest in the middle; each once, however few there are."""
    seconds = [example.seconds for example in mixed(examples)]

    assert len(set(seconds)) == 4
    assert seconds[0] == min(seconds)
    assert max(seconds) in seconds[1:3]
    assert [len(mixed(examples[:count])) for count in (0, 1, 2, 3)] == [0, 1, 2, 3]


@pytest.mark.parametrize("crowd", [False, True])
def test_only_an_encoder_that_hears_its_batch_shows(
    decoder_folder: str,
    examples: list[Example],
    crowd: bool,  # noqa: FBT001
) -> None:
    """The sums' order is all that a batch may change."""
    encoder = (Crowd if crowd else TinyEncoder)(TinyConfig())
    model = joined(decoder_folder, encoder=encoder).eval()
    collator = AsrCollator(AsrConfig(), model.decoder.tokenizer, encoder.features)

    found = invariance(model, collator, mixed(examples), lambda _: 6)

    assert len(found.clips) == 4
    assert found.seconds[0] < found.seconds[1]
    if crowd:
        assert found.loss > 1e-4
        assert found.logits > 1e-4
    else:
        assert max(found.loss, found.logits) < 1e-5
        assert found.texts == []
