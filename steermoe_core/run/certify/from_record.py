"""Certificates from what a run left: its evidence of training, its predictions and its data."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import attrs

from steermoe_core.config.naming import some
from steermoe_core.data.examples import Examples
from steermoe_core.data.usable import UNREADABLE
from steermoe_core.errors import SteermoeError, UsageError
from steermoe_core.evaluate.prediction import read
from steermoe_core.evaluate.scores import Scores
from steermoe_core.run.assembly.builder import data_record
from steermoe_core.run.folder.lock import STARTING_ADAPTER
from steermoe_core.run.folder.records import Certificate, Lock
from steermoe_core.run.preview.overlap import overlap
from steermoe_core.system.records import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from steermoe_core.config.experiment import Experiment
    from steermoe_core.data.example import Example
    from steermoe_core.model.joined import Joined
    from steermoe_core.run.assembly.builder import Builder
    from steermoe_core.run.console import Console
    from steermoe_core.run.folder.run_folder import RunFolder
    from steermoe_core.run.preview.overlap import Overlap
    from steermoe_core.train.first_gradients import FirstGradients

_LOST = "the run has no record of it: evidence.json is lost"
_UNTRAINED = "nothing was trained: train.steps is 0"
_UNSCORED = "nothing is scored: [data.eval] has no split"
_NOT_HERE = "the data is not here"


def gradients(experiment: Experiment, folder: RunFolder, phased: int) -> Certificate:
    """Judge what `GradientWatch` noted in training.

    :param phased: steps at the beginning that train a part of the tensors on purpose.
    """
    certificate = partial(
        Certificate,
        name="every-tensor-got-gradient",
        claim="Every trained tensor got a finite gradient that is not zero in the first step.",
    )
    record = folder.read_evidence().gradients
    if record is None:
        return certificate(passed=None, why=_no_gradients(experiment))
    norms, later, never = record.norms, record.later, record.missing
    excuse = _excuse(record, experiment, phased)
    why = f"{len(norms) - len(later) - len(never)} of {len(norms)} tensors in the first step"
    if later:
        why += f", {_steps(later)} ({excuse or 'nothing explains why so late'})"
    if never:
        why += f"; never: {some(never)}"
    # The steps that explain why a gradient is late may be all that there are.
    steps = folder.steps(experiment.train)
    waiting = steps is not None and steps <= max(phased, 1 if record.zeros else 0)
    if never and waiting:
        why += f", and training ended with step {steps}, too soon to tell"
    return certificate(
        passed=None if never and waiting else not never and (not later or bool(excuse)),
        why=why,
        measured={**plain(record), "never": never, "excuse": excuse},
    )


def _no_gradients(experiment: Experiment) -> str:
    if experiment.train.steps == 0:
        return _UNTRAINED
    if experiment.train.deepspeed is not None:
        return "DeepSpeed keeps gradients in buffers of its own, where no tensor has one"
    return _LOST


def _excuse(record: FirstGradients, experiment: Experiment, phased: int) -> str:
    """Return what explains that a tensor has no gradient in the first step, if anything does."""
    if record.zeros:
        return f"what they are multiplied with starts at zero: {some(record.zeros)}"
    if phased and all(step <= phased + 1 for step in record.later.values()):
        return f"the first {phased} steps train the projector by itself"
    return "fp16: the loss scale was too large at first" if experiment.train.precision == "fp16" else ""


def _steps(later: Mapping[str, int]) -> str:
    counts = sorted(Counter(later.values()).items())
    return ", ".join(f"{count} in step {step}" for step, count in counts)


def whole_splits(
    folder: RunFolder, splits: Mapping[str, Sequence[Example]], missing: Mapping[str, str]
) -> Certificate:
    """Count what was scored and what was left out, and compare both with the source.

    :param splits: the examples of each split whose data is here.
    :param missing: why the data of each other split is not.
    """
    here = {name: _counted(folder, name, examples, "") for name, examples in splits.items()}
    found = {**here, **{name: _counted(folder, name, [], why) for name, why in missing.items()}}
    faults = [f"{name}: {fault}" for name, one in found.items() for fault in one.faults]
    unknown = [f"{name}: {one.unknown}" for name, one in found.items() if one.unknown]
    scored, left_out = sum(one.scored for one in found.values()), sum(one.left_out for one in found.values())
    counted = f"{scored} clips of {len(found)} splits were scored, {left_out} left out by name"
    return Certificate(
        name="whole-splits",
        claim="Every example of every split was scored, or left out with a reason.",
        passed=False if faults else None if unknown or not found else True,
        why="; ".join([*faults, *unknown]) or (counted if found else _UNSCORED),
        measured={"splits": plain(found)},
    )


@attrs.frozen(kw_only=True)
class _Counts:
    """How many examples a split has and had, what is wrong with its scores, and what is not known."""

    source: int
    scored: int = 0
    left_out: int = 0
    faults: list[str] = attrs.field(factory=list)
    unknown: str = ""


def _counted(folder: RunFolder, split: str, examples: Sequence[Example], missing: str) -> _Counts:
    """Compare the scores of a split with its source.

    :param missing: why its data is not here, if it is not.
    """
    path = folder.evaluations / split
    if not path.is_dir() and folder.state != "finished":
        return _Counts(source=len(examples), unknown="it is not scored yet; finish the run")
    try:
        scores = Scores.read(path / "scores.json")
        ids = [row.id for row in read(path / "predictions.jsonl")]
    except UsageError as error:
        return _Counts(source=len(examples), faults=[f"no scores ({error})"])
    left_out = sum(map(len, scores.left_out.values()))
    unread = int((~(Examples.of(examples).seconds > 0.0)).sum())
    if unread > len(scores.left_out.get(UNREADABLE, ())):
        missing = f"{unread} of its {len(examples)} clips cannot be read"
    faults = [
        *_recorded_faults(scores, len(ids), left_out),
        *([] if missing else _source_faults(scores, ids, examples)),
    ]
    return _Counts(
        source=len(examples),
        scored=len(ids),
        left_out=left_out,
        faults=faults,
        unknown=f"{_NOT_HERE}: {missing}" if missing else "",
    )


def _recorded_faults(scores: Scores, scored: int, left_out: int) -> Iterator[str]:
    """Yield what disagrees within the record of a split."""
    if scores.data and scored + left_out != scores.data.examples:
        yield f"{scored} scored and {left_out} left out, but the source has {scores.data.examples}"
    if scores.examples != scored:
        yield f"scores.json counts {scores.examples} clips, predictions.jsonl {scored}"


def _source_faults(scores: Scores, ids: Sequence[str], examples: Sequence[Example]) -> Iterator[str]:
    """Yield where the record of a split and its source disagree."""
    if unknown := Counter(ids) - Counter(Examples.of(examples).values("id")):
        yield f"scored, but not so in the source: {some(list(unknown))}"
    if scores.data != data_record(examples):
        yield "the data changed since it was scored"


def no_overlap(
    builder: Builder,
    folder: RunFolder,
    model: Joined,
    splits: Mapping[str, Sequence[Example]],
    missing: Mapping[str, str],
    console: Console,
) -> Certificate:
    """Count what is scored and was trained on as well.

    :param splits: the examples of each split whose data is here.
    :param missing: why the data of each other split is not.
    """
    certificate = partial(
        Certificate,
        name="no-train-eval-overlap",
        claim="No recording that is scored was trained on, or not with the question that is scored.",
    )
    if builder.experiment.train.steps == 0:
        return certificate(passed=None, why=_UNTRAINED)
    if not splits and not missing:
        return certificate(passed=None, why=_UNSCORED)
    try:
        trained, _ = builder.train_examples(model.encoder.max_seconds)
        trained, _ = builder.fitting(builder.collator(model), trained)
    except SteermoeError as error:
        return certificate(passed=None, why=f"the training data is not here: {error}")
    lock = Lock.find(folder.lock) or Lock()
    record = data_record(trained)
    if lock.data.get("train", record) != record:
        return certificate(passed=None, why="the training data changed since it was trained on")
    found = overlap(trained, splits, console)
    shared = list(_shared(found, "trained", "clips were trained on"))
    unknown = [f"{name}: {_NOT_HERE}: {why}" for name, why in missing.items()]
    if STARTING_ADAPTER in lock.frozen:
        unknown.append("what the adapter that it started from was trained on is not known")
    scored = sum(one.clips for one in found.values())
    apart = f"none of {scored} scored clips is among {len(trained)} trained ones"
    alike = [
        *_shared(found, "audio", "recordings were trained on with other questions"),
        *_shared(found, "texts", "texts were trained on too, of other recordings"),
        *_speakers(found),
    ]
    return certificate(
        passed=False if shared else None if unknown else True,
        why="; ".join([*(shared or [apart]), *unknown, *([] if shared else alike)]),
        measured={"trained": len(trained), "splits": plain(found)},
    )


def _speakers(found: Mapping[str, Overlap]) -> Iterator[str]:
    for name, one in found.items():
        if one.clusters:
            yield f"{name}: speakers or groups in the training data too: {some(one.clusters)}"


def _shared(found: Mapping[str, Overlap], key: str, what: str) -> Iterator[str]:
    for name, one in found.items():
        if ids := getattr(one, key):
            yield f"{name}: {len(ids)} of {one.clips} {what}"
