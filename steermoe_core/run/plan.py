"""What a run would be, without loading a weight: parts, shapes, parameters, memory, data."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from torch import nn

from steermoe_core.errors import SteermoeError
from steermoe_core.hub import nothing_fetched
from steermoe_core.model.weights import at_hand, shapes_only
from steermoe_core.run.build import Builder
from steermoe_core.run.folder import RunFolder
from steermoe_core.run.parts import placed
from steermoe_core.run.validation import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from steermoe_core.component import Selection
    from steermoe_core.config.experiment import Experiment, ValidateConfig
    from steermoe_core.config.resolve import Resolved
    from steermoe_core.data.example import Example
    from steermoe_core.model.joined import Joined
    from steermoe_core.plugins import Registry

#: Bytes a trained parameter takes: itself, its gradient and AdamW's two moments, all fp32.
TRAINED_BYTES = 16


def plan(resolved: Resolved, registry: Registry, runs: Path, *, seconds: float) -> dict[str, Any]:
    """Return the plan of an experiment as plain values; nothing is fetched from the hub for it.

    :param seconds: length of the clip whose way through the model is shown.
    :raises SetupError: the shapes of a model are not known on this machine.
    """
    with nothing_fetched(), placed(resolved.experiment, resolved.path, resolved.origins):
        return _plan(resolved, registry, runs, seconds)


def _plan(resolved: Resolved, registry: Registry, runs: Path, seconds: float) -> dict[str, Any]:
    builder = Builder(resolved.experiment, registry)
    experiment = builder.experiment
    with shapes_only():
        model = builder.model()
    collator = None if model.decoder.tokenizer is None else builder.collator(model)
    way = shapes(model, collator, seconds)
    return {
        "run_folder": str(RunFolder.of(resolved, runs).path),
        "parts": [_origin(selection, registry) for selection in _selections(experiment)],
        "shapes": way,
        "parameters": parameters(model),
        "memory_bytes": memory(model, experiment, way),
        "data": _data(builder, model, collator),
    }


def shapes(model: Joined, collator: Any, seconds: float) -> dict[str, Any]:
    """Return the way of a clip of so many seconds from samples to decoder positions.

    :param collator: None where there is no tokenizer; the text's positions are None then.
    """
    samples = round(seconds * model.encoder.sample_rate)
    frames = model.encoder.frames(samples)
    tokens = model.projector.tokens(frames)
    text = None if collator is None else collator.prompt_lengths()
    return {
        "seconds": seconds,
        "samples": samples,
        "frames": [frames, model.encoder.width],
        "audio_tokens": [tokens, model.decoder.width],
        "before": text and text[0],
        "after": text and text[1],
        "positions": text and sum(text) + tokens,
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

    A frozen map keeps no input for the backward pass; what comes out of it is kept by what follows. So each
    position of a layer keeps about the outputs of its maps, the product of its gates, and the inputs of its
    norms in fp32. Encoder layers count from the first that something trained changes, with the fp32 copies
    that its adapter works on. Of what stands before the audio only keys and values are kept. Layers that are
    recomputed keep what goes into them, and one at a time is there as a whole.
    """
    weights = sum(p.numel() * p.element_size() for p in model.parameters() if not p.requires_grad)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    batch, width = experiment.train.batch_size, model.decoder.width
    answer = round(4 * way["seconds"])  # tokens of English speech a second
    shared = max((way["before"] or 0) - 1, 0)
    own = way["audio_tokens"][0] + (way["before"] or 0) - shared + (way["after"] or 0) + answer
    layers, maps, widest = _stack(model.decoder)
    size = _element(model.decoder, experiment)
    layer = batch * (own * (size * (maps + widest) + 8 * width) + shared * 2 * width * size)
    again = experiment.train.recompute
    decoder = _kept(layers, layer, batch * own * width * size, again="decoder" in again)
    layers, maps, _ = _stack(model.encoder)
    steered = 0 if model.adapter.first_layer is None else layers - model.adapter.first_layer
    vectors = _element(model.encoder, experiment) * (maps + model.encoder.width) + 8 * model.encoder.width
    frames = batch * way["frames"][0]
    entry = frames * model.encoder.width * _element(model.encoder, experiment)
    encoder = _kept(steered, frames * vectors, entry, again="encoder" in again)
    copies = _copies(model.decoder, experiment) + (_copies(model.encoder, experiment) if steered else 0)
    logits = batch * answer * len(model.decoder.embeddings) * 4 * 3
    found = {
        "weights": weights,
        "trained": trained * TRAINED_BYTES,
        "activations": decoder + encoder + copies,
        "logits": logits,
    }
    return {**found, "total": sum(found.values())}


def _kept(layers: int, layer: int, entry: int, *, again: bool) -> int:
    """Return the bytes that layers keep, each so many, or where they are recomputed, what goes into them."""
    return layers * entry + min(layers, 1) * layer if again else layers * layer


def _stack(module: nn.Module) -> tuple[int, int, int]:
    """Return the number of layers, the width of all maps of a layer together, and that of its widest map."""
    stack = max((m for m in module.modules() if isinstance(m, nn.ModuleList)), key=len, default=[module])
    maps = [m for layer in stack for m in layer.modules() if isinstance(m, (nn.Linear, nn.Conv1d))]
    widths = [m.out_features if isinstance(m, nn.Linear) else m.out_channels for m in maps]
    return len(stack), sum(widths) // max(len(stack), 1), max(widths, default=0)


def _element(part: nn.Module, experiment: Experiment) -> int:
    """Return the bytes of a number that a frozen part computes."""
    weights = min((p.element_size() for p in part.parameters() if not p.requires_grad), default=4)
    return weights if experiment.train.precision == "fp32" else min(weights, 2)


def _copies(part: nn.Module, experiment: Experiment) -> int:
    """Return the bytes of the half-precision copies that autocast makes of fp32 weights and keeps."""
    if experiment.train.precision == "fp32":
        return 0
    full = (p for p in part.parameters() if not p.requires_grad and p.element_size() > 2)  # noqa: PLR2004
    return sum(2 * p.numel() for p in full if p.ndim > 1)


def _counts(module: nn.Module) -> dict[str, int]:
    trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
    return {"trainable": trainable, "frozen": sum(p.numel() for p in module.parameters()) - trainable}


def _selections(experiment: Experiment) -> list[Selection]:
    validated = [] if experiment.data.validate is None else [experiment.data.validate]
    data = [*experiment.data.train, *validated, *experiment.data.eval.values()]
    model = [experiment.encoder, experiment.adapter, experiment.projector, experiment.decoder]
    return [*model, experiment.collator, *data, *experiment.metrics, *experiment.callbacks]


def _origin(selection: Selection, registry: Registry) -> dict[str, Any]:
    """Return where a part comes from; `here` says whether its weights are, None if it has none."""
    plugin = registry.plugin_of(selection.kind, selection.name)
    weights = str(getattr(selection.config, "weights", ""))
    return {
        "kind": selection.kind,
        "name": selection.name,
        "distribution": f"{plugin.distribution} {plugin.version}",
        "weights": weights,
        "here": (bool(registry.find("weights", weights)) or at_hand(weights)) if weights else None,
    }


def _data(builder: Builder, model: Joined, collator: Any) -> list[dict[str, Any]]:
    """Return a row a split; one that cannot be read says why."""

    def train() -> tuple[Sequence[Example], str]:
        found, report = builder.train_examples(model.encoder.max_seconds)
        if collator is None:
            return found, f"{report} The lengths of answers are unknown without the tokenizer."
        kept, answers = collator.fitting(found)
        return kept, f"{report} {answers}" if len(kept) < len(found) else str(report)

    splits = builder.experiment.data.eval.items()
    reads = {name: partial(lambda source: (builder.part(source), ""), source) for name, source in splits}
    rows = [_row("train", train)]
    if (validate := builder.experiment.train.validate).every:
        rows.append(_row("validate", lambda: _validated(builder, validate)))
    return [*rows, *(_row(name, read) for name, read in reads.items())]


def _validated(builder: Builder, config: ValidateConfig) -> tuple[Sequence[Example], str]:
    by = judge([builder.part(selection) for selection in builder.experiment.metrics], config.metric).name
    return builder.validate_examples(), f"Scored every {config.every} steps; {by} says which is best."


def _row(split: str, read: Callable[[], tuple[Sequence[Example], str]]) -> dict[str, Any]:
    try:
        examples, note = read()
    except SteermoeError as error:
        return {"split": split, "clips": None, "seconds": None, "note": str(error)}
    seconds = sum(example.seconds for example in examples)
    return {"split": split, "clips": len(examples), "seconds": seconds, "note": note}
