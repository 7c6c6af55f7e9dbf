"""The plan of a run, made without loading a weight: parts, shapes, parameters, memory, data."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.config.fields import selections
from steermoe_core.data.examples import Examples
from steermoe_core.errors import SteermoeError
from steermoe_core.evaluate.metrics import metric_called
from steermoe_core.model.quantised import number_of_weights
from steermoe_core.model.weights import at_hand, shapes_only
from steermoe_core.run.assembly.builder import Builder
from steermoe_core.run.assembly.parts import placed
from steermoe_core.run.folder.run_folder import RunFolder
from steermoe_core.run.preview.costs import unreadable
from steermoe_core.run.preview.memory import Memory, memory, prepare
from steermoe_core.run.preview.shapes import Shapes, shapes
from steermoe_core.system.hub import nothing_fetched
from steermoe_core.train.epochs import counted, epochs_of
from steermoe_core.train.groups import trainable_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from torch import nn

    from steermoe_core.component import Selection
    from steermoe_core.config.resolve import Resolved
    from steermoe_core.data.batches import Epochs
    from steermoe_core.data.example import Example
    from steermoe_core.model.joined import Joined
    from steermoe_core.plugins import Registry
    from steermoe_core.run.preview.costs import Cost, Machines
    from steermoe_core.system.records import Json


@attrs.frozen(kw_only=True)
class Part:
    """A component of the experiment.

    :param distribution: that it comes from, with the version.
    :param weights: name or path of its weights; empty where it has none.
    :param here: whether they are on this machine; None where it has none.
    """

    kind: str
    name: str
    distribution: str
    weights: str
    here: bool | None


@attrs.frozen(kw_only=True)
class Parameters:
    """Numbers of trainable and frozen parameters of a part."""

    part: str
    trainable: int
    frozen: int


@attrs.frozen(kw_only=True)
class GroupSize:
    """A parameter group: its trainable parameters, and the peak of its learning rate."""

    group: str
    parameters: int
    learning_rate: float | None


@attrs.frozen(kw_only=True)
class Split:
    """A set of examples; one that cannot be read has no counts, and the error as its note."""

    split: str
    clips: int | None
    seconds: float | None
    note: str


@attrs.frozen(kw_only=True)
class Plan:
    """What a run would be.

    :param steps: of one process; None where they follow from epochs, and the training data cannot be read or
        the budget is `auto`.
    :param epochs: passes over the training clips; None where the steps are set, and the same is unknown.
    :param costs: on the GPUs that were asked for.
    """

    run_folder: str
    steps: int | None
    epochs: float | None
    parts: list[Part]
    shapes: Shapes
    parameters: list[Parameters]
    groups: list[GroupSize]
    memory_bytes: Memory
    data: list[Split]
    costs: list[Cost] = attrs.field(factory=list)

    def as_json(self) -> Json:
        """Return plain values; `memory_bytes` has the key `unknown` only where there is a reason."""
        return attrs.asdict(self, filter=lambda field, value: field.name != "unknown" or bool(value))


def plan(
    resolved: Resolved, registry: Registry, runs: Path, *, seconds: float, machines: Machines | None = None
) -> Plan:
    """Return the plan of an experiment; nothing is fetched from the hub for it.

    :param seconds: length of the clip whose shapes are shown.
    :param machines: GPUs on which the run is costed.
    :raises SetupError: the shapes of a model are not known on this machine.
    :raises DataError: the run is costed, and the lengths of the training clips cannot be read.
    """
    with nothing_fetched(), placed(resolved.experiment, resolved.path, resolved.origins):
        builder = Builder(resolved.experiment, registry)
        experiment = builder.experiment
        with shapes_only():
            model = builder.model()
        collator = None if model.decoder.tokenizer is None else builder.collator(model)
        clip = shapes(model, collator, seconds)
        data, trained = _data(builder, model, collator)
        train, epochs = experiment.train, _epochs(builder, model, collator, trained)
        if epochs is not None:
            train = counted(train, epochs, len(trained))
        token = prepare(model.projector, map(collator.reference, trained) if collator else ())
        costs: list[Cost] = []
        if machines is not None:
            if machines.lengths == "data" and not trained:
                raise unreadable(data[0].note)
            traced = machines.traced(builder, model, collator, trained, token)
            costs = machines.costs(model, train, traced)
        return Plan(
            run_folder=str(RunFolder.of(resolved, runs).path),
            steps=train.steps,
            epochs=epochs_of(train, epochs) if train.epochs is None and epochs else train.epochs,
            parts=[_part(one, registry) for _, one in selections(experiment) if one.kind != "router"],
            shapes=clip,
            parameters=parameters(model),
            groups=group_sizes(model, experiment.train.learning_rate),
            memory_bytes=memory(model, experiment.train, clip, token),
            data=data,
            costs=costs,
        )


def _epochs(builder: Builder, model: Joined, collator: Any, examples: Sequence[Example]) -> Epochs | None:
    """Return the batches of each epoch in one process; None where data or tokenizer are not here.

    Also None for a budget of `auto`, which the run finds.
    """
    train = builder.experiment.train
    if not examples or (train.budget and train.budget[1] == "auto"):
        return None
    if train.batch_tokens is not None and collator is None:
        return None
    return builder.epochs(examples, builder.costs(model, collator, examples))


def parameters(model: Joined) -> list[Parameters]:
    """Return the parameters of each part, counted on the live modules."""
    counts = []
    parts: dict[str, nn.Module] = {"encoder": model.encoder, "adapter": model.adapter}
    parts |= {"projector": model.projector, "decoder": model.decoder}
    if model.decoder_adapter is not None:
        parts["decoder adapter"] = model.decoder_adapter
    for part, module in parts.items():
        trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
        counts.append(
            Parameters(part=part, trainable=trainable, frozen=number_of_weights(module) - trainable)
        )
    return counts


def group_sizes(model: Joined, rates: Mapping[str, float]) -> list[GroupSize]:
    """Return the parameter groups; a part that groups its parameters wrongly has none here."""
    try:
        groups = trainable_groups(model)
    except SteermoeError:  # reported by the run
        return []
    return [
        GroupSize(group=name, parameters=sum(p.numel() for p in group), learning_rate=rates.get(name))
        for name, group in groups.items()
    ]


def _part(selection: Selection, registry: Registry) -> Part:
    plugin = registry.plugin_of(selection.kind, selection.name)
    weights = str(getattr(selection.config, "weights", ""))
    return Part(
        kind=selection.kind,
        name=selection.name,
        distribution=f"{plugin.distribution} {plugin.version}",
        weights=weights,
        here=(bool(registry.find("weights", weights)) or at_hand(weights)) if weights else None,
    )


def _data(builder: Builder, model: Joined, collator: Any) -> tuple[list[Split], Sequence[Example]]:
    """Return the splits of an experiment, and the examples that it trains on."""
    trained: list[Sequence[Example]] = []

    def train() -> tuple[Sequence[Example], str]:
        examples, report = builder.train_examples(model.encoder.max_seconds)
        longer = f" Augmentation makes them up to {builder.stretch:.4g} times as long."
        note = f"{report}{longer if builder.stretch > 1.0 else ''}"
        if collator is None:
            trained.append(examples)
            return examples, f"{note} The lengths of answers are unknown without the tokenizer."
        kept, answers = builder.fitting(collator, examples)
        trained.append(kept)
        return kept, f"{note} {answers}" if len(kept) < len(examples) else note

    def validate() -> tuple[Sequence[Example], str]:
        metrics = [builder.part(selection) for selection in builder.experiment.metrics]
        metric = metric_called(config.metric, metrics).name
        note = f"Scored every {config.every} steps; {metric} selects the best step."
        return builder.validate_examples(), note

    def evaluated(source: Selection) -> tuple[Sequence[Example], str]:
        return builder.part(source), ""

    config = builder.experiment.train.validate
    splits = [_split("train", train)]
    if config.every:
        splits.append(_split("validate", validate))
    for name, source in builder.experiment.data.eval.items():
        splits.append(_split(name, partial(evaluated, source)))
    return splits, trained[0] if trained else []


def _split(name: str, read: Callable[[], tuple[Sequence[Example], str]]) -> Split:
    try:
        examples, note = read()
    except SteermoeError as error:
        return Split(split=name, clips=None, seconds=None, note=str(error))
    seconds = sum(Examples.of(examples).durations())
    return Split(split=name, clips=len(examples), seconds=seconds, note=note)
