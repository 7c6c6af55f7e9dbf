"""What a run would be, without loading a weight: parts, shapes, parameters, memory, data."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from steermoe_core.config.fields import selections
from steermoe_core.errors import SteermoeError
from steermoe_core.model.projectors import Projector
from steermoe_core.model.weights import at_hand, shapes_only
from steermoe_core.run.assembly.builder import Builder
from steermoe_core.run.assembly.parts import placed
from steermoe_core.run.folder.run_folder import RunFolder
from steermoe_core.run.preview.memory import memory
from steermoe_core.run.training.validation import judge
from steermoe_core.system.hub import nothing_fetched

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import nn

    from steermoe_core.component import Selection
    from steermoe_core.config.experiment import ValidateConfig
    from steermoe_core.config.resolve import Resolved
    from steermoe_core.data.example import Example
    from steermoe_core.model.joined import Joined
    from steermoe_core.plugins import Registry


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
    data, trained = _data(builder, model, collator)
    return {
        "run_folder": str(RunFolder.of(resolved, runs).path),
        "parts": [_origin(one, registry) for _, one in selections(experiment) if one.kind != "router"],
        "shapes": way,
        "parameters": parameters(model),
        "memory_bytes": memory(model, experiment.train, way, _answers(model, collator, trained)),
        "data": data,
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


def _counts(module: nn.Module) -> dict[str, int]:
    trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
    return {"trainable": trainable, "frozen": sum(p.numel() for p in module.parameters()) - trainable}


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


def _answers(model: Joined, collator: Any, examples: Sequence[Example]) -> list[list[int]]:
    """Return the training answers' ids, if they are known and the projector looks at them."""
    looks = type(model.projector).begin is not Projector.begin
    return [collator.reference(example) for example in examples] if looks and collator else []


def _data(builder: Builder, model: Joined, collator: Any) -> tuple[list[dict[str, Any]], Sequence[Example]]:
    """Return a row a split, of which one that cannot be read says why, and what can be trained on."""
    trained: list[Example] = []

    def train() -> tuple[Sequence[Example], str]:
        found, report = builder.train_examples(model.encoder.max_seconds)
        trained.extend(found)
        if collator is None:
            return found, f"{report} The lengths of answers are unknown without the tokenizer."
        kept, answers = collator.fitting(found)
        return kept, f"{report} {answers}" if len(kept) < len(found) else str(report)

    splits = builder.experiment.data.eval.items()
    reads = {name: partial(lambda source: (builder.part(source), ""), source) for name, source in splits}
    rows = [_row("train", train)]
    if (validate := builder.experiment.train.validate).every:
        rows.append(_row("validate", lambda: _validated(builder, validate)))
    return [*rows, *(_row(name, read) for name, read in reads.items())], trained


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
