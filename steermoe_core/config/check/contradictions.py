"""Rules between keys of an experiment, checked on tables whose keys have no faults of their own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from steermoe_core.component import Trained
from steermoe_core.config.check.faults import Fault
from steermoe_core.config.check.test_splits import RULES, is_test
from steermoe_core.config.naming import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.component import Selection
    from steermoe_core.config.check.test_splits import Table
    from steermoe_core.config.experiment import (
        DataConfig,
        DeepSpeedConfig,
        EvaluateConfig,
        TrainConfig,
        ValidateConfig,
    )
    from steermoe_core.config.text.locate import KeyPath

_FOLDER_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def contradictions(
    data: DataConfig | None,
    train: TrainConfig | None,
    adapters: list[Selection] | None,
    augment: Sequence[Selection],
    evaluate: EvaluateConfig | None,
) -> Iterator[Fault]:
    """Yield settings that contradict each other. A table with other faults is None."""
    if data is not None:
        yield from _test_splits(data)
        yield from _evaluation_names(data)
        yield from _seconds(data)
        yield from _weights(data)
    if adapters is not None:
        yield from _adapters(adapters)
    if train is not None and adapters is not None and train.steps == 0:
        yield from _untrained(train, adapters)
    if train is not None:
        yield from _length(train)
        yield from _at_most_one("train", train)
        yield from _training(train)
        yield from _frames(train)
        yield from _validation(train.validate)
        if augment:
            yield from _augmented(train)
        if train.deepspeed is not None:
            yield from _deepspeed(train, train.deepspeed)
    if evaluate is not None:
        yield from _at_most_one("evaluate", evaluate)
    if data is not None and train is not None and train.validate.every and data.validate is None:
        message = f"every is {train.validate.every}, but there is nothing to validate on"
        hint = "add a table [data.validate]"
        yield Fault("E302", message, ("train", "validate", "every"), hint=hint)


def _test_splits(data: DataConfig) -> Iterator[Fault]:
    sources: list[tuple[Table, KeyPath, Selection]] = [
        ("train", ("train", index), source) for index, source in enumerate(data.train)
    ]
    if data.validate is not None:
        sources.append(("validate", ("validate",), data.validate))
    for table, where, source in sources:
        for key in ("split", "part"):
            split = getattr(source.config, key, None)
            if isinstance(split, str) and is_test(split):
                message = f"[data.{table}] has {key} = {shown(split)}: {RULES[table]}"
                path = ("data", *where, key)
                yield Fault("E303", message, path, "text", "score it under [data.eval.NAME]")


def _evaluation_names(data: DataConfig) -> Iterator[Fault]:
    for name in data.eval:
        if not _FOLDER_NAME.fullmatch(name):
            message = f"the name {shown(name)} cannot be a folder name"
            hint = "use letters, digits, dots, dashes and underscores"
            yield Fault("E301", message, ("data", "eval", name), "key", hint)


def _seconds(data: DataConfig) -> Iterator[Fault]:
    if data.min_seconds > data.max_seconds:
        message = f"min_seconds is {data.min_seconds}, max_seconds is {data.max_seconds}: no clip is left"
        yield Fault("E302", message, ("data", "min_seconds"))


def _weights(data: DataConfig) -> Iterator[Fault]:
    if data.weights and len(data.weights) != len(data.train):
        sources = "1 training source" if len(data.train) == 1 else f"{len(data.train)} training sources"
        message = f"weights has {len(data.weights)} entries for {sources}"
        yield Fault(
            "E302", message, ("data", "weights"), hint="give one for each [[data.train]], in the same order"
        )


def _frames(train: TrainConfig) -> Iterator[Fault]:
    if train.frames_dtype != "float32" and not train.keep_frames:
        message = f"frames_dtype is {shown(train.frames_dtype)}, but keep_frames is false: no frames are kept"
        yield Fault("E302", message, ("train", "frames_dtype"), hint="set keep_frames = true")


def _validation(validate: ValidateConfig) -> Iterator[Fault]:
    for key in ("metric", "patience", "keep_best"):
        value = getattr(validate, key)
        if value and not validate.every:
            message = f"{key} is {shown(value)}, but every is 0: there are no validations"
            hint = "set the number of steps between validations, such as every = 100"
            yield Fault("E302", message, ("train", "validate", key), hint=hint)


def _adapters(adapters: list[Selection]) -> Iterator[Fault]:
    for number, one in enumerate(adapters):
        if len(adapters) > 1 and isinstance(one.config, Trained):
            message = "a trained adapter stands for all adapters of its run, so it has to be the only one"
            yield Fault(
                "E302", message, ("adapter", number), "text", f'write adapter = "{one.config.source}"'
            )


def _untrained(train: TrainConfig, adapters: list[Selection]) -> Iterator[Fault]:
    path: KeyPath = ("train", "steps")
    if not any(isinstance(one.config, Trained) for one in adapters):
        message = "steps is 0, but the experiment does not start from a trained adapter"
        yield Fault("E302", message, path, hint='set adapter = "hub:OWNER/NAME" or the path of a run')
    elif train.validate.every:
        message = f"every is {train.validate.every}, but steps is 0: there is no training to validate"
        yield Fault("E302", message, ("train", "validate", "every"), hint="score it under [data.eval.NAME]")


def _augmented(train: TrainConfig) -> Iterator[Fault]:
    if train.keep_frames:
        message = "keep_frames is true, but [[augment]] changes the clips each time they are used"
        yield Fault(
            "E302", message, ("train", "keep_frames"), hint="set keep_frames = false, or augment = []"
        )
    if not train.steps:
        message = "steps is 0: there is no training in which [[augment]] would change clips"
        yield Fault("E302", message, ("train", "steps"), hint="set augment = []")


def _deepspeed(train: TrainConfig, settings: DeepSpeedConfig) -> Iterator[Fault]:
    if settings.offload != "none" and settings.stage == 0:
        message = f"offload is {shown(settings.offload)}, but stage 0 shards nothing to offload"
        yield Fault("E302", message, ("train", "deepspeed", "offload"), hint="use stage 1, 2 or 3")
    if train.precision == "fp16":
        message, hint = "precision is fp16, which is not supported with DeepSpeed", 'use "bf16" or "fp32"'
        yield Fault("E302", message, ("train", "precision"), hint=hint)
    if train.budget and train.budget[1] == "auto" and settings.stage == 3:  # noqa: PLR2004 - ZeRO's number
        message = f'{train.budget[0]} is "auto", which needs the whole model in each process, not stage 3'
        yield Fault("E302", message, ("train", train.budget[0]), hint="use stage 2, or a number")
    if train.compile and settings.stage == 3:  # noqa: PLR2004 - ZeRO's number
        message = "compile is true, but stage 3 fetches the weights of a layer while it is computed"
        yield Fault("E302", message, ("train", "compile"), hint="use stage 2, or compile = false")
    if train.validate.every and settings.stage == 3:  # noqa: PLR2004 - ZeRO's number
        message = "validation during training is not supported at stage 3"
        yield Fault("E302", message, ("train", "validate", "every"), hint="use stage 2, or every = 0")


def _length(train: TrainConfig) -> Iterator[Fault]:
    if train.steps is None and train.epochs is None:
        message = "[train] has neither steps nor epochs"
        yield Fault("E103", message, ("train",), "key", "add steps, a whole number, or epochs, a number")
    elif train.steps is not None and train.epochs is not None:
        message = f"[train] has both steps = {train.steps} and epochs = {train.epochs:g}"
        hint = 'keep one; unset = ["train.steps"] drops a key of an extended file'
        yield Fault("E302", message, ("train", "epochs"), hint=hint)


def _at_most_one(table: str, config: TrainConfig | EvaluateConfig) -> Iterator[Fault]:
    given = [key for key in config.AT_MOST_ONE if getattr(config, key) is not None]
    for key in given[1:]:
        one, other = (f"{name} = {shown(getattr(config, name))}" for name in (given[0], key))
        message = f"[{table}] has both {one} and {other}"
        hint = f'keep one; unset = ["{table}.{given[0]}"] drops a key of an extended file'
        yield Fault("E302", message, (table, key), hint=hint)


def _training(train: TrainConfig) -> Iterator[Fault]:
    if train.features == "device" and train.keep_frames:
        message = "features is device, but keep_frames is true: no features are computed in training"
        yield Fault("E302", message, ("train", "features"), hint='set features = "loader"')
    if train.steps and train.warmup > train.steps:
        message = f"warmup is {train.warmup} steps, but the run has only {train.steps}"
        yield Fault("E302", message, ("train", "warmup"))
    if train.compile and train.packing:
        message = "compile is true, but packing computes every batch by code of its own"
        yield Fault("E302", message, ("train", "compile"), hint="set packing = [], or compile = false")
    if train.precision == "fp16" and train.device == "cpu":
        message, hint = "precision is fp16, but device is cpu", 'use "bf16" or "fp32"'
        yield Fault("E302", message, ("train", "precision"), "text", hint)
