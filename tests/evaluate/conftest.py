"""A whole model of tiny parts, clips for it, and an evaluator of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from steermoe_core.config.experiment import EvaluateConfig
from steermoe_core.data.collators import AsrCollator
from steermoe_core.data.config import AsrConfig, FolderConfig
from steermoe_core.data.sources.folder import read_folder
from steermoe_core.evaluate.config import CerConfig, WerConfig
from steermoe_core.evaluate.evaluation import Evaluator
from steermoe_core.evaluate.metrics import Cer, Wer
from tests.parts import joined
from tests.tiny import DIGITS, write_folder

if TYPE_CHECKING:
    from steermoe_core.data.example import Example
    from steermoe_core.model.joined import Joined


@pytest.fixture(scope="module")
def model(decoder_folder: str) -> Joined:
    """Return a whole model of tiny parts."""
    torch.set_num_threads(1)
    return joined(decoder_folder)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    """Return ten clips, their lengths in no order."""
    lengths = [0.3 + 0.37 * (number * 7 % 10) for number in range(10)]
    return read_folder(FolderConfig(path=write_folder(tmp_path_factory.mktemp("clips"), DIGITS, lengths)))


def evaluator(model: Joined, layout: dict[str, Any] | None = None, **settings: Any) -> Evaluator:
    """Return an evaluator with both error rates."""
    collator = AsrCollator(AsrConfig(**(layout or {})), model.decoder.tokenizer, model.encoder.features)
    metrics = [Wer(WerConfig()), Cer(CerConfig())]
    return Evaluator(model, collator, EvaluateConfig(**settings), metrics, seed=0)
