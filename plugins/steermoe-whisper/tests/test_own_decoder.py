"""Whisper's own decoder: the texts that transformers gives, whoever else is in the batch."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import torch
from transformers import WhisperForConditionalGeneration
from transformers.utils.logging import warning_once

from steermoe_core.errors import SetupError
from steermoe_core.model.weights import fingerprint
from steermoe_whisper.config import WhisperConfig
from steermoe_whisper.encoder import WhisperEncoder
from tests.parts import noise, save_reading_whisper, save_whisper
from tests.tiny import tokenizer

if TYPE_CHECKING:
    from pathlib import Path

CLIPS = [noise(seconds, seed) for seed, seconds in enumerate((0.5, 2.0, 1.2))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a random Whisper with a tokenizer, whose answers are short."""
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("whisper")
    save_reading_whisper(place)
    return place


@pytest.fixture(scope="module", params=["30s", "true-length"])
def encoder(request: pytest.FixtureRequest, folder: Path) -> WhisperEncoder:
    """Return the encoder, however it computes for others."""
    return WhisperEncoder(WhisperConfig(weights=str(folder), input=request.param))


def test_equals_huggingface(folder: Path, encoder: WhisperEncoder) -> None:
    """Greedy, on the 30 seconds that Whisper was trained on."""
    whole = WhisperForConditionalGeneration.from_pretrained(folder).eval()
    wanted = []
    for clip in CLIPS:
        mels = encoder.extractor(clip, sampling_rate=16_000, return_tensors="pt").input_features
        wanted.append(tokenizer().decode(whole.generate(mels, do_sample=False)[0], skip_special_tokens=True))

    found = encoder.own_transcripts(CLIPS)

    assert found == [text.strip() for text in wanted]
    assert any(found)


def test_a_clip_does_not_see_its_batch(encoder: WhisperEncoder) -> None:
    """Alone, and in another order."""
    together = encoder.own_transcripts(CLIPS)
    assert [encoder.own_transcripts([clip])[0] for clip in CLIPS] == together
    assert encoder.own_transcripts(CLIPS[::-1]) == together[::-1]


def test_the_encoder_stays_what_it_is(encoder: WhisperEncoder) -> None:
    """The decoder is no part of its state: an adapter's identity of it is the same."""
    before, names = fingerprint(encoder), list(encoder.state_dict())
    encoder.own_transcripts(CLIPS[:1])
    assert fingerprint(encoder) == before
    assert list(encoder.state_dict()) == names


def test_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    """Weights that were saved alone can be steered and not read."""
    encoder = WhisperEncoder(WhisperConfig(weights=save_whisper(tmp_path)))
    with pytest.raises(SetupError, match="have no tokenizer beside them"):
        encoder.own_transcripts(CLIPS[:1])


def test_no_advice_is_passed_on(encoder: WhisperEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """What transformers tells its own Whisper is not for the user of an encoder."""
    heard: list[logging.LogRecord] = []
    monkeypatch.setattr(logging.getLogger("transformers.generation.utils"), "handle", heard.append)
    warning_once.cache_clear()

    encoder.own_transcripts(CLIPS)

    assert [record.getMessage() for record in heard] == []
