"""Log-mels that a script stored give the frames that the sound gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
import torch

from steermoe_core.data.collators import AsrCollator
from steermoe_core.data.config import AsrConfig, DiskConfig, FolderConfig
from steermoe_core.data.sources.folder import read_folder
from steermoe_core.data.sources.tables import read_disk
from steermoe_core.errors import DataError
from steermoe_whisper.config import WhisperConfig
from steermoe_whisper.encoder import WhisperEncoder
from tests.parts import noise, save_whisper
from tests.sounds import save_to_disk
from tests.tiny import tokenizer, write_table

if TYPE_CHECKING:
    from pathlib import Path

RATE = 16_000
LENGTHS = (1.0, 2.345)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> WhisperEncoder:
    """Return a random Whisper encoder that is fed 30 seconds."""
    torch.set_num_threads(1)
    return WhisperEncoder(WhisperConfig(weights=save_whisper(tmp_path_factory.mktemp("whisper"))))


def write_both(place: Path, encoder: WhisperEncoder) -> None:
    """Write clips as sound, and as the log-mels that a script would have stored."""
    rows, mels = [], []
    for number, seconds in enumerate(LENGTHS):
        wave = noise(3.0, number)[: round(seconds * RATE)]
        (place / "sound").mkdir(exist_ok=True)
        soundfile.write(place / "sound" / f"{number}.wav", wave, RATE, subtype="FLOAT")
        rows.append({"file_name": f"{number}.wav", "text": "one"})
        mels.append(encoder.extractor(wave, sampling_rate=RATE, return_tensors="np").input_features[0])
    write_table(place / "sound", rows)
    table = {"input_features": mels, "labels": [[7]] * 2, "input_length": list(LENGTHS), "text": ["one"] * 2}
    save_to_disk(place / "mels", table)


def test_stored_mels_are_worth_the_sound(tmp_path: Path, encoder: WhisperEncoder) -> None:
    """The same frames, as many as the clip has."""
    write_both(tmp_path, encoder)
    collator = AsrCollator(AsrConfig(), tokenizer(), encoder.features)

    heard = collator(read_folder(FolderConfig(path=tmp_path / "sound")))
    stored = collator(read_disk(DiskConfig(path=tmp_path / "mels")))

    np.testing.assert_allclose(stored.features.values, heard.features.values, atol=1e-5)
    with torch.no_grad():
        wanted, found = encoder(heard.features), encoder(stored.features)
    assert found.lengths.tolist() == wanted.lengths.tolist() == [50, 117]
    for one, other in zip(found.rows(), wanted.rows(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_mels_of_another_whisper(tmp_path: Path, encoder: WhisperEncoder) -> None:
    """Features with another number of bins are refused, with both numbers."""
    table = {"input_features": [np.zeros((7, 3000), np.float32)], "input_length": [1.0], "text": ["one"]}
    examples = read_disk(DiskConfig(path=save_to_disk(tmp_path, table)))

    with pytest.raises(DataError, match=r"have 7 bins, but the encoder takes \d+; take the encoder"):
        AsrCollator(AsrConfig(), tokenizer(), encoder.features)(examples)
