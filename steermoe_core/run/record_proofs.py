"""Certificates from what a run left: its evidence of training, its predictions and its data."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from steermoe_core.config.reads import keys
from steermoe_core.data.check import some
from steermoe_core.errors import SteermoeError, UsageError
from steermoe_core.evaluate.prediction import read
from steermoe_core.run.build import data_record
from steermoe_core.run.certificate import Certificate
from steermoe_core.run.evidence import evidence
from steermoe_core.run.overlap import overlap
from steermoe_core.run.scores import read_scores
from steermoe_core.train.gradients import missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from steermoe_core.config.experiment import Experiment
    from steermoe_core.data.example import Example
    from steermoe_core.run.build import Builder
    from steermoe_core.run.console import Console
    from steermoe_core.run.folder import RunFolder

_OLDER = "the run has no record of it: it was trained by an earlier version, or evidence.json is lost"
#: Keys that go with the adapter: `steermoe transcribe` reads them.
_LATER = frozenset({"evaluate.segment"})
_UNTRAINED = "nothing was trained: train.steps is 0"


def gradients(experiment: Experiment, folder: RunFolder, phased: int) -> Certificate:
    """Judge what `GradientWatch` noted in training.

    :param phased: steps at the beginning that train a part of the tensors on purpose.
    """
    facts: dict[str, Any] = {
        "name": "every-tensor-got-gradient",
        "claim": "Every trained tensor got a finite gradient that is not zero in the first step.",
    }
    record = evidence(folder).get("gradients")
    if not record:
        return Certificate(**facts, passed=None, why=_no_gradients(experiment))
    norms, later, never = record["norms"], record["later"], missing(record)
    excuse = _excuse(record, experiment, phased)
    why = f"{len(norms) - len(later) - len(never)} of {len(norms)} tensors in the first step"
    if later:
        why += f", {_steps(later)} ({excuse or 'nothing explains why so late'})"
    if never:
        why += f"; never: {some(never)}"
    return Certificate(
        **facts,
        passed=not never and (not later or bool(excuse)),
        why=why,
        measured={**record, "never": never, "excuse": excuse},
    )


def _no_gradients(experiment: Experiment) -> str:
    if not experiment.train.steps:
        return _UNTRAINED
    if experiment.train.deepspeed is not None:
        return "DeepSpeed keeps gradients in buffers of its own, where no tensor has one"
    return _OLDER


def _excuse(record: dict[str, Any], experiment: Experiment, phased: int) -> str:
    """Return what explains that a tensor has no gradient in the first step, if anything does."""
    if record["zeros"]:
        return f"what they are multiplied with starts at zero: {some(record['zeros'])}"
    if phased and all(step <= phased + 1 for step in record["later"].values()):
        return f"the first {phased} steps train the projector by itself"
    return "fp16: the loss scale was too large at first" if experiment.train.precision == "fp16" else ""


def _steps(later: Mapping[str, int]) -> str:
    counts = sorted(Counter(later.values()).items())
    return ", ".join(f"{count} in step {step}" for step, count in counts)


def every_key(experiment: Experiment, folder: RunFolder) -> Certificate:
    """Compare the keys of an experiment with those that its run read."""
    facts: dict[str, Any] = {
        "name": "every-key-was-read",
        "claim": "Every key that the experiment sets was read by code that ran.",
    }
    known = evidence(folder).get("read")
    if known is None:
        return Certificate(**facts, passed=None, why=_OLDER)
    asked = [
        key
        for key in keys(experiment)
        if key[0] not in _LATER
        and (experiment.train.steps or not key[0].startswith(("train.", "callbacks.")))
    ]
    unread = {name: value for name, value, _ in asked if name not in known}
    set_in_vain = [name for name, _, chosen in asked if chosen and name in unread]
    defaults = len(unread) - len(set_in_vain)
    rest = f", {defaults} are at their defaults and not needed" if defaults else ""
    return Certificate(
        **facts,
        passed=not set_in_vain,
        why=f"{len(asked) - len(unread)} of {len(asked)} keys were read{rest}"
        + (f"; set in vain: {some(set_in_vain)}" if set_in_vain else ""),
        measured={"keys": len(asked), "read": len(asked) - len(unread), "in_vain": set_in_vain,
                  "unread": unread},
    )  # fmt: skip


def whole_splits(folder: RunFolder, splits: Mapping[str, Sequence[Example]]) -> Certificate:
    """Count what was scored and what was left out, and compare both with the source."""
    found = {name: _counted(folder, name, examples) for name, examples in splits.items()}
    faults = [f"{name}: {fault}" for name, one in found.items() for fault in one["faults"]]
    scored, left_out = (sum(one[what] for one in found.values()) for what in ("scored", "left_out"))
    return Certificate(
        name="whole-splits",
        claim="Every example of every split was scored, or left out with a reason.",
        passed=not faults if splits else None,
        why="; ".join(faults)
        or f"{scored} clips of {len(found)} splits were scored, {left_out} left out by name",
        measured={"splits": found},
    )


def _counted(folder: RunFolder, split: str, examples: Sequence[Example]) -> dict[str, Any]:
    path = folder.evaluations / split
    try:
        scores = read_scores(path / "scores.json")
        ids = [row.id for row in read(path / "predictions.jsonl")]
    except UsageError as error:
        return {"source": len(examples), "scored": 0, "left_out": 0, "faults": [f"no scores ({error})"]}
    left_out = sum(map(len, scores["left_out"].values()))
    return {
        "source": len(examples),
        "scored": len(ids),
        "left_out": left_out,
        "faults": list(_split_faults(scores, ids, left_out, examples)),
    }


def _split_faults(
    scores: dict[str, Any], ids: Sequence[str], left_out: int, examples: Sequence[Example]
) -> Iterator[str]:
    if len(ids) + left_out != len(examples):
        yield f"{len(ids)} scored and {left_out} left out, but the source has {len(examples)}"
    if scores["examples"] != len(ids):
        yield f"scores.json counts {scores['examples']} clips, predictions.jsonl {len(ids)}"
    if unknown := Counter(ids) - Counter(example.id for example in examples):
        yield f"scored, but not so in the source: {some(list(unknown))}"
    if scores.get("data") != data_record(examples):
        yield "the data changed since it was scored"


def no_overlap(
    builder: Builder, splits: Mapping[str, Sequence[Example]], longest: float | None, console: Console
) -> Certificate:
    """Count what is scored and was trained on as well.

    :param longest: longest clip that the encoder takes, in seconds.
    """
    facts: dict[str, Any] = {
        "name": "no-train-eval-overlap",
        "claim": "No text and no sound that is scored was trained on.",
    }
    if not builder.experiment.train.steps:
        return Certificate(**facts, passed=None, why=_UNTRAINED)
    try:
        trained, _ = builder.train_examples(longest)
    except SteermoeError as error:
        return Certificate(**facts, passed=None, why=f"the training data is not here: {error}")
    found = {one.pop("set"): one for one in overlap(trained, splits, console)}
    shared = [
        f"{name}: {len(one[key])} of {one['clips']} {what}"
        for name, one in found.items()
        for key, what in (("texts", "texts"), ("audio", "sounds"))
        if one[key]
    ]
    scored = sum(one["clips"] for one in found.values())
    return Certificate(
        **facts,
        passed=not shared,
        why="; ".join(shared)
        or f"none of {scored} scored clips is among {len(trained)} trained ones, by text or by samples",
        measured={"trained": len(trained), "splits": found},
    )
