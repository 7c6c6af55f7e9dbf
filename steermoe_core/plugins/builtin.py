"""The parts that come with steermoe, offered through the same hooks as anybody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core.component import API, PROJECTOR, TOWER, Command, Component, Figure, load
from steermoe_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def _part(
    name: str,
    summary: str,
    config: str,
    factory: str,
    *,
    gives: tuple[str, ...] = (),
    needs: Mapping[str, tuple[str, ...]] | None = None,
    groups: Mapping[str, float] | None = None,
    rungs: Mapping[str, Sequence[Mapping[str, str]]] | None = None,
    figures: Sequence[Figure] = (),
) -> Component:
    return Component(
        name=name,
        api=API,
        summary=summary,
        config=f"steermoe_core.{config}",
        factory=f"steermoe_core.{factory}",
        gives=gives,
        needs=needs or {},
        groups=groups or {},
        rungs=rungs or {},
        figures=figures,
    )


@hookimpl
def steermoe_adapters() -> Iterator[Component]:
    """Yield layer-wise steering, and no adapter at all."""
    yield _part(
        "steering",
        "vectors added to every layer of the encoder or the decoder, mixed by a router",
        "model.config:SteeringConfig",
        "model.steering:Steering",
        gives=("gates",),
        needs={TOWER: ("layer-taps",)},
        groups={"steering": 1e-3, "router": 2e-4, "scales": 1e-3},
        rungs={
            "steering on the decoder": [{"on": "decoder"}],
            "steering on both": [{"on": "encoder"}, {"on": "decoder"}],
        },
    )
    yield _part(
        "soft-prompt",
        "trained embeddings before every sequence of the decoder",
        "model.config:SoftPromptConfig",
        "model.soft_prompt:SoftPrompt",
        groups={"soft-prompt": 3e-3},
        rungs={"soft prompt": [{}]},
    )
    yield _part(
        "none",
        "nothing inside encoder and decoder is trained, only the projector",
        "model.config:NoAdapterConfig",
        "model.adapter:NoAdapter",
    )


@hookimpl
def steermoe_routers() -> Iterator[Component]:
    """Yield the routers whose gates add up to 1."""
    yield _part(
        "softmax",
        "a linear map for each layer, softmax over its experts",
        "model.config:SoftmaxRouterConfig",
        "model.routers:SoftmaxRouter",
    )
    yield _part(
        "topk",
        "a linear map for each layer, softmax over the best experts of each frame",
        "model.config:TopKRouterConfig",
        "model.routers:TopKRouter",
    )
    yield _part(
        "shared",
        "one linear map for all layers, softmax over the experts",
        "model.config:SoftmaxRouterConfig",
        "model.routers:SharedRouter",
    )
    yield _part(
        "shared-mixed",
        "one linear map for all layers, its logits mixed by a small matrix for each",
        "model.config:SoftmaxRouterConfig",
        "model.routers:SharedMixedRouter",
    )


@hookimpl
def steermoe_projectors() -> Iterator[Component]:
    """Yield the maps from encoder frames to audio tokens."""
    yield _part(
        "identity",
        "time pooling alone, for an encoder as wide as the language model",
        "model.config:IdentityConfig",
        "model.projectors:IdentityProjector",
    )
    yield _part(
        "linear",
        "time pooling and one linear map",
        "model.config:LinearConfig",
        "model.projectors:LinearProjector",
        groups=PROJECTOR,
    )
    yield _part(
        "mlp",
        "time pooling and two linear maps with a non-linearity between",
        "model.config:MlpConfig",
        "model.projectors:MlpProjector",
        groups=PROJECTOR,
    )
    yield _part(
        "soft-ctc",
        "audio tokens as mixtures of the decoder's own token embeddings",
        "model.config:SoftCtcConfig",
        "model.soft_ctc:SoftCtcProjector",
        groups=PROJECTOR,
    )


@hookimpl
def steermoe_decoders() -> Iterator[Component]:
    """Yield any causal language model of the transformers library."""
    yield _part(
        "causal-lm",
        "a frozen AutoModelForCausalLM with its tokenizer",
        "model.config:CausalLMConfig",
        "model.decoder:CausalLM",
        gives=("layer-taps", "linear-maps", "packing"),
    )


@hookimpl
def steermoe_datasets() -> Iterator[Component]:
    """Yield the readers of sound files with a table, and of tables that hold the sound."""
    yield _part(
        "folder",
        "a folder of audio files with a metadata.csv",
        "data.config:FolderConfig",
        "data.sources.folder:read_folder",
    )
    yield _part(
        "jsonl",
        "a manifest: a line of JSON for each sound file, or for a span of one",
        "data.config:JsonlConfig",
        "data.sources.jsonl:read_jsonl",
    )
    yield _part(
        "parquet",
        "parquet files with the audio inside",
        "data.config:ParquetConfig",
        "data.sources.tables:read_parquet",
    )
    yield _part(
        "disk",
        "what the datasets library wrote with save_to_disk",
        "data.config:DiskConfig",
        "data.sources.tables:read_disk",
    )
    yield _part(
        "hub",
        "a dataset of the Hugging Face hub",
        "data.config:HubConfig",
        "data.sources.tables:read_hub",
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
    """Yield the error rates of speech recognition, and accuracies of answers."""
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
    yield _part(
        "exact-match",
        "share of answers that are a reference as a whole",
        "evaluate.config:ExactMatchConfig",
        "evaluate.accuracy:ExactMatch",
    )
    yield _part(
        "token-accuracy",
        "share of places at which answer and reference have the same token",
        "evaluate.config:TokenAccuracyConfig",
        "evaluate.metrics:TokenAccuracy",
    )


@hookimpl
def steermoe_callbacks() -> Iterator[Component]:
    """Yield the watcher of gates and steering strength."""
    yield _part(
        "steering-analysis",
        "expert load, gate entropy and steering strength of each layer",
        "train.config:SteeringAnalysisConfig",
        "train.analysis:SteeringAnalysis",
        needs={"adapter": ("gates",)},
        figures=[
            Figure(key="steering", curve="layer {layer}", value=value, title=title, unit=unit, log=log)
            for value, title, unit, log in (
                ("entropy", "Gate entropy", "nats, mean over frames", False),
                ("effective", "Experts in use", "effective number", False),
                ("relative_norm", "Size of the shift", "shift / frame", True),
            )
        ],
    )


@hookimpl
def steermoe_commands() -> Iterator[Command]:
    """Yield the commands of the command line, so that no plugin takes the name of one."""
    for name, summary in load("steermoe_core.cli.commands:COMMANDS").items():
        code = f"steermoe_core.cli.{name.replace('-', '_')}"
        yield Command(name=name, api=API, summary=summary, code=code)
