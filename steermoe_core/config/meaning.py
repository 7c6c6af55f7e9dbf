"""Rules between keys of an experiment, checked on tables whose keys are right by themselves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from steermoe_core.config.faults import Fault
from steermoe_core.config.words import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steermoe_core.config.experiment import DataConfig, TrainConfig

_FOLDER_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def contradictions(data: DataConfig | None, train: TrainConfig | None) -> Iterator[Fault]:
    """Yield the settings that cannot be meant together; None stands for a table that has other faults."""
    if data is not None:
        yield from _test_splits(data)
        yield from _evaluation_names(data)
        yield from _seconds(data)
    if train is not None:
        yield from _training(train)


def _test_splits(data: DataConfig) -> Iterator[Fault]:
    for index, source in enumerate(data.train):
        split = getattr(source.config, "split", None)
        if isinstance(split, str) and "test" in re.findall(r"[a-z]+", split.lower()):
            message = f"[data.train] has split = {shown(split)}: a test split is never trained on"
            path = ("data", "train", index, "split")
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


def _training(train: TrainConfig) -> Iterator[Fault]:
    if train.warmup > train.steps:
        message = f"warmup is {train.warmup} steps, but the run has only {train.steps}"
        yield Fault("E302", message, ("train", "warmup"))
    if train.precision == "fp16" and train.device == "cpu":
        message, hint = "precision is fp16, but device is cpu", 'use "bf16" or "fp32"'
        yield Fault("E302", message, ("train", "precision"), "text", hint)
