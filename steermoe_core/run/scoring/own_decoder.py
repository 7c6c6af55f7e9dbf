"""The encoder's own decoder on the splits of a run: what is reached without a language model or any training.

It is in the run's folder, as a small run folder of its own: `own-decoder/evaluations/<split>/`.
"""

from __future__ import annotations

import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from steermoe_core.config.resolve import Resolved, resolve
from steermoe_core.data.batches import length_sorted
from steermoe_core.data.usable import usable
from steermoe_core.errors import CheckpointError, SteermoeError, UsageError
from steermoe_core.evaluate.prediction import Prediction
from steermoe_core.evaluate.score import judged, marked
from steermoe_core.evaluate.scores import Decoding, Scores
from steermoe_core.model.encoder import OWN_DECODER
from steermoe_core.model.weights import fingerprint
from steermoe_core.run.assembly.builder import Builder, data_record, metrics_of
from steermoe_core.run.assembly.device import move, set_threads
from steermoe_core.run.assembly.parts import placed
from steermoe_core.run.folder.records import Lock
from steermoe_core.run.folder.run_folder import RunFolder, now
from steermoe_core.run.scoring.split import write_scores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from steermoe_core.config.experiment import Experiment
    from steermoe_core.data.example import Example
    from steermoe_core.plugins import Registry
    from steermoe_core.run.console import Console

#: The folder in a run's folder, and the name of its row.
NAME = "own-decoder"


def own_folder(run: Path) -> RunFolder:
    """Return the folder of a run's own-decoder scores."""
    return RunFolder(RunFolder(run).own_decoder)


def has_own_decoder(experiment: Experiment, registry: Registry) -> bool:
    """Tell whether the encoder of an experiment says that it has a decoder of its own."""
    return OWN_DECODER in (registry.get("encoder", experiment.encoder.name).gives or ())


def score_own_decoder(
    path: Path,
    registry: Registry,
    console: Console,
    *,
    splits: Sequence[str] | None = None,
    batch_size: int | None = None,
    again: bool = False,
) -> RunFolder:
    """Score the encoder's own decoder on the splits that have no such scores yet, or on all.

    :param path: a run folder; the run itself need not be finished.
    :param batch_size: clips that are decoded together; the experiment's own by default.
    :raises UsageError: there is no such run or split, or the encoder has no decoder of its own.
    :raises CheckpointError: the encoder's weights are not those that the run was trained on.
    """
    run = RunFolder.existing(path)
    resolved, own = resolve(run.experiment, [], registry), own_folder(path)
    experiment = resolved.experiment
    if unknown := [name for name in splits or [] if name not in experiment.data.eval]:
        msg = f"{path} has no split {unknown[0]!r}; its splits are {', '.join(experiment.data.eval)}"
        raise UsageError(msg)
    if not has_own_decoder(experiment, registry):
        msg = f"encoder {experiment.encoder.name} has no decoder of its own"
        raise UsageError(msg)
    wanted = list(splits or experiment.data.eval)
    todo = [name for name in wanted if again or not (own.evaluations / name / "scores.json").is_file()]
    if not todo:
        console.note(f"{own.path} has these scores already; --again scores them again")
        return own
    with placed(experiment, resolved.path, resolved.origins), own.held(), console.warnings():
        own.set_status("running", started=now(), ended=None, error=None)
        try:
            _score(resolved, registry, run, todo, console, batch_size)
        except BaseException as error:
            stopped = not isinstance(error, SteermoeError)
            state, reason = ("interrupted", None) if stopped else ("failed", str(error))
            own.set_status(state, ended=now(), error=reason)
            raise
        own.set_status("finished", ended=now())
    return own


def _score(
    resolved: Resolved,
    registry: Registry,
    run: RunFolder,
    splits: list[str],
    console: Console,
    batch_size: int | None,
) -> None:
    experiment, builder = resolved.experiment, Builder(resolved.experiment, registry)
    set_threads(experiment.train.threads)
    size = batch_size or experiment.evaluate.clips
    found, metrics = builder.eval_examples(), metrics_of(resolved.experiment, registry)
    with console.task("loading the encoder"):
        encoder = builder.part(experiment.encoder)
        _check_weights(encoder, run)
        move(encoder, experiment.train.device)
    for name in splits:
        started, examples = time.monotonic(), found[name]
        longest = encoder.max_seconds or math.inf
        kept, report = usable(examples, min_seconds=0.0, max_seconds=longest, max_bad=1.0)
        with console.progress() as progress:
            task = progress.add_task(f"{NAME} on {name}", total=len(examples), note="")
            rows = _transcribed(encoder, kept, size, partial(progress.advance, task))
            progress.update(task, completed=len(examples))  # with the clips that were left out
        scores = Scores.of(
            judged(metrics, {"": rows}, seed=experiment.experiment.seed),
            split=name,
            data=data_record(examples),
            examples=len(kept),
            hours=round(sum(one.seconds for one in kept) / 3600, 4),
            left_out={reason: list(names) for reason, names in report.left_out.items() if names},
            steering=[],
            decoding=Decoding(greedy=True, batch_size=size),
            seconds=round(time.monotonic() - started, 1),
        )
        write_scores(own_folder(run.path).evaluations / name, {"": marked(metrics, rows)}, scores)


def _transcribed(
    encoder: Any, examples: Sequence[Example], size: int, progressed: Callable[[int], None]
) -> list[Prediction]:
    """Return a prediction for each clip, in the order of the clips."""
    batches, places = length_sorted([example.seconds for example in examples], size)
    rows: list[Prediction] = []
    for numbers in batches:
        rows += _predictions(encoder, [examples[number] for number in numbers])
        progressed(len(numbers))
    return [rows[place] for place in places]


def _predictions(encoder: Any, examples: Sequence[Example]) -> list[Prediction]:
    """Return a prediction for each clip; its tokens are not the language model's, so there are none."""
    waves = [example.waveform(encoder.sample_rate) for example in examples]
    return [
        Prediction(
            id=example.id,
            reference=example.text,
            hypothesis=text,
            seconds=round(example.seconds, 3),
            tokens=0,
            stop="eos",
            cluster=example.cluster,
            prompt=example.prompt,
            references=example.references,
            labels=example.labels,
        )
        for example, text in zip(examples, encoder.own_transcripts(waves), strict=True)
    ]


def _check_weights(encoder: Any, run: RunFolder) -> None:
    """Make sure that encoder and decoder row are of the same weights."""
    lock = Lock.find(run.lock)
    trained_on = lock.frozen.get("encoder") if lock else None
    if trained_on is None:
        return  # not begun, or lost: nothing to compare with
    if (here := fingerprint(encoder)) != trained_on:
        msg = (
            f"{run.path} was trained on encoder weights {trained_on[:12]}, but here they are {here[:12]}; "
            "restore them, or run the experiment again"
        )
        raise CheckpointError(msg)
