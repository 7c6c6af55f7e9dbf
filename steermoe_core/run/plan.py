"""What a run would be, without loading a weight: parts, shapes, parameters, memory, data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from steermoe_core.model.weights import shapes_only
from steermoe_core.run.build import Builder
from steermoe_core.run.folder import RunFolder

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.component import Selection
    from steermoe_core.config.experiment import Experiment
    from steermoe_core.config.resolve import Resolved
    from steermoe_core.model.joined import Joined
    from steermoe_core.plugins import Registry

#: Bytes a trained parameter takes: itself, its gradient and AdamW's two moments, all fp32.
TRAINED_BYTES = 16


def plan(resolved: Resolved, registry: Registry, runs: Path, *, seconds: float) -> dict[str, Any]:
    """Return the plan of an experiment as plain values.

    :param seconds: length of the clip whose way through the model is shown.
    """
    experiment = resolved.experiment
    builder = Builder(experiment, registry)
    with shapes_only():
        model = builder.model()
    collator = builder.collator(model)
    return {
        "run_folder": str(RunFolder.of(resolved, runs).path),
        "parts": [_origin(selection, registry) for selection in _selections(experiment)],
        "shapes": shapes(model, collator, seconds),
        "parameters": parameters(model),
        "memory_bytes": memory(model, experiment, shapes(model, collator, seconds)),
        "data": _data(builder, model, collator),
    }


def shapes(model: Joined, collator: Any, seconds: float) -> dict[str, Any]:
    """Return the way of a clip of so many seconds from samples to decoder positions."""
    samples = round(seconds * model.encoder.sample_rate)
    frames = model.encoder.frames(samples)
    tokens = model.projector.tokens(frames)
    before, after = collator.prompt_lengths()
    return {
        "seconds": seconds,
        "samples": samples,
        "frames": [frames, model.encoder.width],
        "audio_tokens": [tokens, model.decoder.width],
        "before": before,
        "after": after,
        "positions": before + tokens + after,
        "context": model.decoder.context,
    }


def parameters(model: Joined) -> list[dict[str, Any]]:
    """Return trainable and frozen parameters of each part, counted on the live modules."""
    parts = {
        "encoder": model.encoder,
        "adapter": model.adapter,
        "projector": model.projector,
        "decoder": model.decoder,
    }
    return [{"part": name, **_counts(module)} for name, module in parts.items()]


def memory(model: Joined, experiment: Experiment, way: dict[str, Any]) -> dict[str, int]:
    """Return an estimate of a training step's memory in bytes: weights, trained state, activations, logits.

    Frozen linear maps keep no input for the backward pass, so a decoder layer keeps about 12 vectors of its
    width a position and an encoder layer about 10 a frame (only if something in or before it is trained). Of
    what stands before the audio only keys and values are kept.
    """
    weights = sum(p.numel() * p.element_size() for p in model.parameters() if not p.requires_grad)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    batch, width = experiment.train.batch_size, model.decoder.width
    stacks = [len(module) for module in model.decoder.modules() if isinstance(module, nn.ModuleList)]
    layers = max(stacks, default=1)
    answer = round(4 * way["seconds"])  # tokens of English speech a second
    shared = max(way["before"] - 1, 0)
    vectors = 12 * (way["positions"] - shared + answer) + 2 * shared
    decoder = batch * vectors * layers * width * 4
    steered = 0 if model.adapter.first_layer is None else model.encoder.layers - model.adapter.first_layer
    encoder = batch * way["frames"][0] * steered * 10 * model.encoder.width * 4
    logits = batch * answer * len(model.decoder.embeddings) * 4 * 3
    found = {
        "weights": weights,
        "trained": trained * TRAINED_BYTES,
        "activations": decoder + encoder,
        "logits": logits,
    }
    return {**found, "total": sum(found.values())}


def _counts(module: nn.Module) -> dict[str, int]:
    trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
    return {"trainable": trainable, "frozen": sum(p.numel() for p in module.parameters()) - trainable}


def _selections(experiment: Experiment) -> list[Selection]:
    data = [*experiment.data.train, *experiment.data.eval.values()]
    model = [experiment.encoder, experiment.adapter, experiment.projector, experiment.decoder]
    return [*model, experiment.collator, *data, *experiment.metrics, *experiment.callbacks]


def _origin(selection: Selection, registry: Registry) -> dict[str, str]:
    plugin = registry.plugin_of(selection.kind, selection.name)
    return {
        "kind": selection.kind,
        "name": selection.name,
        "distribution": f"{plugin.distribution} {plugin.version}",
        "weights": str(getattr(selection.config, "weights", "")),
    }


def _data(builder: Builder, model: Joined, collator: Any) -> list[dict[str, Any]]:
    found, report = builder.train_examples(model.encoder.max_seconds)
    kept, answers = collator.fitting(found)
    note = f"{report} {answers}" if len(kept) < len(found) else str(report)
    rows = [{"split": "train", "clips": len(kept), "seconds": answers.seconds, "note": note}]
    for name, examples in builder.eval_examples().items():
        seconds = sum(example.seconds for example in examples)
        rows.append({"split": name, "clips": len(examples), "seconds": seconds, "note": ""})
    return rows
