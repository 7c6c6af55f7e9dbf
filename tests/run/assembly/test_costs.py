"""What a clip costs: seconds of the encoder, or positions of the decoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from steermoe_core.config.experiment import TrainConfig
from steermoe_core.data.collator import Collator
from steermoe_core.data.collators import AsrCollator
from steermoe_core.data.config import AsrConfig
from steermoe_core.data.example import Example
from steermoe_core.data.padded import Padded
from steermoe_core.run.assembly.costs import audio_tokens, costs
from tests.parts import TinyConfig, TinyEncoder, joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.model.joined import Joined

EXAMPLES = [
    Example(id="one", audio=Path(), text="one", seconds=0.5),
    Example(id="two", audio=Path(), text="two three four", seconds=1.5),
]


class Window(TinyEncoder):
    """Pads every clip to two seconds."""

    max_seconds = 2.0

    def features(self, waveforms: Sequence[np.ndarray]) -> Padded:
        found = super().features([*waveforms, np.zeros(2 * self.sample_rate, np.float32)])
        return Padded(found.values[:-1], found.lengths[:-1])


class Limited(TinyEncoder):
    """Takes two seconds at most, and clips as they are."""

    max_seconds = 2.0


@pytest.fixture
def model(decoder_folder: str) -> Joined:
    """Return a model on the CPU."""
    torch.manual_seed(0)
    return joined(decoder_folder)


def collator(model: Joined, **config: str) -> AsrCollator:
    """Return a collator of short prompts."""
    return AsrCollator(AsrConfig(**config), model.decoder.tokenizer, model.encoder.features)


@pytest.mark.parametrize(
    ("encoder", "wanted"), [(TinyEncoder, [0.5, 1.5]), (Limited, [0.5, 1.5]), (Window, [2.0, 2.0])]
)
def test_seconds_are_what_the_encoder_computes(
    decoder_folder: str, encoder: type[TinyEncoder], wanted: list[float]
) -> None:
    """The length of the clip, unless all become as long as the longest."""
    model = joined(decoder_folder, encoder=encoder(TinyConfig()))

    assert costs(TrainConfig(batch_seconds=9.0), model, collator(model), EXAMPLES) == wanted


def test_augmentation_counts_with_its_longest(model: Joined) -> None:
    """In seconds and in tokens."""
    given = collator(model)

    assert costs(TrainConfig(batch_seconds=9.0), model, given, EXAMPLES, stretch=2.0) == [1.0, 3.0]
    short, long = (costs(TrainConfig(batch_tokens=9), model, given, EXAMPLES, n) for n in (1.0, 2.0))
    assert all(one < other for one, other in zip(short, long, strict=True))


def test_tokens_are_those_of_the_whole_sequence(model: Joined) -> None:
    """Prompt, audio, answer and its end: as many as the model reads for each clip."""
    given = collator(model, prompt="one two", template="three {audio} {prompt} four")
    found = costs(TrainConfig(batch_tokens=9), model, given, EXAMPLES)

    for example, cost in zip(EXAMPLES, found, strict=True):
        samples = round(example.seconds * model.encoder.sample_rate)
        texts = [given._tokens(text) for text in ("three ", " one two four")]
        answer = given.answer(example)
        audio = model.projector.tokens(model.encoder.frames(samples))
        assert audio == audio_tokens(model.encoder, model.projector, example.seconds)
        assert cost == sum(map(len, texts)) + audio + len(answer)


def test_an_own_prompt_counts(model: Joined) -> None:
    """It takes the place of the common one; another collator's is the common one."""
    given = collator(model, prompt="", template="{audio} {prompt}")
    asked = Example(id="asked", audio=Path(), text="one", seconds=0.5, prompt="two three four")

    before, after, answer = given.text_lengths(asked)

    assert (before, answer) == (0, len(given.answer(asked)))
    assert after == len(given._tokens(" two three four"))
    assert Collator.text_lengths(given, asked) == (*given.prompt_lengths(), answer)


def test_without_a_budget_nothing_is_counted(model: Joined) -> None:
    """Every clip is one."""
    assert costs(TrainConfig(batch_size=4), model, collator(model), EXAMPLES) == []
