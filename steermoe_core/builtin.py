"""The parts that come with steermoe, offered through the same hooks as anybody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core.component import API, Component
from steermoe_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator


def _part(name: str, summary: str, config: str, factory: str) -> Component:
    return Component(
        name=name,
        api=API,
        summary=summary,
        config=f"steermoe_core.{config}",
        factory=f"steermoe_core.{factory}",
    )


@hookimpl
def steermoe_adapters() -> Iterator[Component]:
    """Yield layer-wise steering, and no adapter at all."""
    yield _part(
        "steering",
        "vectors added to every encoder layer, mixed by a router",
        "model.config:SteeringConfig",
        "model.steering:Steering",
    )
    yield _part(
        "none",
        "the encoder as it is; only the projector learns",
        "model.config:NoAdapterConfig",
        "model.adapter:NoAdapter",
    )


@hookimpl
def steermoe_routers() -> Iterator[Component]:
    """Yield the standard router."""
    yield _part(
        "softmax",
        "one linear map for all layers, softmax over each layer's experts",
        "model.config:SoftmaxRouterConfig",
        "model.routers:SoftmaxRouter",
    )


@hookimpl
def steermoe_projectors() -> Iterator[Component]:
    """Yield the maps from encoder frames to audio tokens."""
    yield _part(
        "linear",
        "time pooling and one linear map",
        "model.config:LinearConfig",
        "model.projectors:LinearProjector",
    )
    yield _part(
        "mlp",
        "time pooling and two linear maps with a non-linearity between",
        "model.config:MlpConfig",
        "model.projectors:MlpProjector",
    )
    yield _part(
        "soft-ctc",
        "audio tokens as mixtures of the decoder's own token embeddings",
        "model.config:SoftCtcConfig",
        "model.soft_ctc:SoftCtcProjector",
    )


@hookimpl
def steermoe_decoders() -> Iterator[Component]:
    """Yield any causal language model of the transformers library."""
    yield _part(
        "causal-lm",
        "a frozen AutoModelForCausalLM with its tokenizer",
        "model.config:CausalLMConfig",
        "model.decoder:CausalLM",
    )


@hookimpl
def steermoe_datasets() -> Iterator[Component]:
    """Yield the reader of audio folders."""
    yield _part(
        "folder",
        "a folder of audio files with a metadata.csv",
        "data.config:FolderConfig",
        "data.sources:folder",
    )


@hookimpl
def steermoe_collators() -> Iterator[Component]:
    """Yield the layout for speech recognition."""
    yield _part(
        "asr",
        "audio, one prompt for all clips, answer",
        "data.config:AsrConfig",
        "data.collators:AsrCollator",
    )


@hookimpl
def steermoe_metrics() -> Iterator[Component]:
    """Yield the error rates of speech recognition."""
    yield _part(
        "wer",
        "word error rate of the whole split",
        "evaluate.config:WerConfig",
        "evaluate.metrics:Wer",
    )
    yield _part(
        "cer",
        "character error rate of the whole split",
        "evaluate.config:CerConfig",
        "evaluate.metrics:Cer",
    )


@hookimpl
def steermoe_callbacks() -> Iterator[Component]:
    """Yield the watcher of gates and steering strength."""
    yield _part(
        "steering-analysis",
        "expert load, gate entropy and steering strength of each layer",
        "train.config:SteeringAnalysisConfig",
        "train.analysis:SteeringAnalysis",
    )
