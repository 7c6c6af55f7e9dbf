"""What a run leaves, file by file: the classes that read and write its JSON files. Cheap to import.

    status.json          Status          where the run is
    lock.json            Lock            what its numbers depend on outside the experiment
    evidence.json        Evidence        what only training can observe, kept for the certificates
    certificates.json    Certificates    claims about the run that were measured
    adapter/adapter.json                 AdapterCard    what the trained tensors belong to
    evaluations/<split>/routing.json     Routing        what the routers do, and what depends on them

`evaluate.scores.Scores` is scores.json, `evaluate.prediction.Prediction` a line of predictions.jsonl, and
`train.journal.Step` a line of metrics.jsonl. `run.folder.finished.FinishedRun` reads them all.
"""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from steermoe_core.errors import CheckpointError, SteermoeError, UsageError
from steermoe_core.evaluate.scores import (  # noqa: TC001 - read at run time
    DataRecord,
    Interval,
    LayerStatistics,
)
from steermoe_core.system.records import Record
from steermoe_core.train.first_gradients import FirstGradients  # noqa: TC001 - read at run time


@attrs.frozen(kw_only=True)
class Best:
    """The best step of the validations."""

    step: int
    metric: str
    value: float


@attrs.frozen(kw_only=True)
class TrainingEnd:
    """How a training ended.

    :param steps: its last step.
    :param of: steps of the experiment.
    :param ended: why it ended.
    :param adapter_step: the step that the adapter's tensors are of.
    :param best: None without validations.
    """

    steps: int
    of: int
    ended: str
    adapter_step: int
    best: Best | None

    def sentence(self) -> str | None:
        """Return a sentence where the adapter is not that of the last step of the experiment."""
        if self.adapter_step >= self.of:
            return None
        chosen, best = f"the adapter is that of step {self.adapter_step}", self.best
        if best and best.step == self.adapter_step:
            chosen += f" ({best.metric} {best.value:.4f} on the validation data)"
        return f"training ended at step {self.steps} of {self.of}: {self.ended}; {chosen}"


@attrs.frozen(kw_only=True)
class Status(Record):
    """The content of status.json.

    :param state: "running", "finished", "failed" or "interrupted".
    :param step: of the last checkpoint.
    :param steps: that the run trains for; None before its training data is counted.
    :param started: ISO 8601, UTC, as all times.
    :param error: why it failed.
    :param training: once it has ended.
    """

    REMEDY: ClassVar[str] = "move it away"

    state: str
    step: int = 0
    steps: int | None = None
    started: str | None = None
    ended: str | None = None
    error: str | None = None
    training: TrainingEnd | None = None
    updated: str | None = None


@attrs.frozen(kw_only=True)
class Git:
    """The commit of the working directory."""

    commit: str
    dirty: bool


@attrs.frozen(kw_only=True)
class Lock(Record):
    """The content of lock.json: everything outside the experiment file that a run's numbers depend on.

    :param plugins: version of each active distribution.
    :param packages: version of each package; None where it is not installed.
    :param git: None outside a repository.
    :param processes: that train together.
    :param frozen: SHA-256 of each frozen part, and of the adapter that training started from.
    :param data: of each source.
    :param batch_budget: seconds or tokens of a batch, where the run found them because the experiment says
        `auto`.
    """

    REMEDY: ClassVar[str] = (
        "restore it, or move it away: then nobody knows with which weights and data the run began"
    )

    python: str | None = None
    platform: str | None = None
    plugins: dict[str, str] = attrs.field(factory=dict)
    packages: dict[str, str | None] = attrs.field(factory=dict)
    git: Git | None = None
    seed: int | None = None
    processes: int = 1
    frozen: dict[str, str] = attrs.field(factory=dict)
    data: dict[str, DataRecord] = attrs.field(factory=dict)
    batch_budget: float | None = None


@attrs.frozen(kw_only=True)
class Evidence(Record):
    """The content of evidence.json.

    :param gradients: None where they were not observed.
    :param frozen: SHA-256 of each frozen part after the last step; None before it.
    """

    REMEDY: ClassVar[str] = "move it away"

    gradients: FirstGradients | None = None
    frozen: dict[str, str] | None = None


@attrs.frozen(kw_only=True)
class Certificate:
    """One claim about a run that was measured on the run itself.

    :param name: what it is called.
    :param claim: a sentence that is true of a run that can be trusted.
    :param passed: whether it holds; None where it cannot be measured.
    :param why: a sentence: what was measured, or why it cannot be.
    :param measured: the figures behind it, plain values.
    :param command: what measures it again.
    """

    name: str
    claim: str = ""
    passed: bool | None
    why: str = "no reason is given"
    measured: dict[str, Any] = attrs.field(factory=dict)
    command: str = ""

    @property
    def failure(self) -> str | None:
        """A sentence where it does not hold."""
        if self.passed is not False:
            return None
        again = f" (`{self.command}` measures it again)" if self.command else ""
        return f"CERTIFICATE FAILED: {self.name}: {self.why}{again}"


@attrs.frozen(kw_only=True)
class Certificates(Record):
    """The content of certificates.json.

    :param made: when they were measured.
    :param seconds: that this took.
    """

    ERROR: ClassVar[type[SteermoeError]] = CheckpointError
    REMEDY: ClassVar[str] = "move it away, then measure it again with `steermoe certify {folder}`"

    certificates: list[Certificate]
    made: str | None = None
    seconds: float | None = None


@attrs.frozen(kw_only=True)
class FrozenPart:
    """A frozen encoder or decoder.

    :param use: its component.
    :param weights: None where the component has none.
    :param sha256: of its tensors.
    """

    use: str
    weights: str | None
    sha256: str

    @property
    def label(self) -> str:
        """Its weights, or its component."""
        return self.weights or self.use


@attrs.frozen(kw_only=True)
class AdapterCard(Record):
    """The content of adapter.json: what the trained tensors are and which frozen parts they belong to.

    :param experiment: its name.
    :param step: that the tensors are of.
    :param groups: trainable parameters of each parameter group.
    :param tensors: shape of each trained tensor.
    :param frozen: the encoder and the decoder.
    """

    ERROR: ClassVar[type[SteermoeError]] = CheckpointError
    REMEDY: ClassVar[str] = "copy the adapter folder again, or train it again"

    experiment: str
    step: int
    training: TrainingEnd
    trainable_parameters: int
    groups: dict[str, int] = attrs.field(factory=dict)
    tensors: dict[str, list[int]]
    frozen: dict[str, FrozenPart]


@attrs.frozen(kw_only=True)
class Information:
    """What a label tells about the expert in one layer, in nats.

    :param nats: mutual information.
    :param chance: what 95 % of shuffled labels stay below.
    """

    layer: int | str
    nats: float
    chance: float


@attrs.frozen(kw_only=True)
class LabelValue:
    """The layers over the clips of one value of a label."""

    clips: int
    layers: list[LayerStatistics]


@attrs.frozen(kw_only=True)
class Baseline:
    """The score of the model without a knockout."""

    metric: str
    value: float
    clips: int


@attrs.frozen(kw_only=True)
class KnockoutScore:
    """What changes without an expert, a layer or the routing.

    :param difference: to the baseline.
    :param verdict: "better", "worse" or "not distinguishable".
    """

    what: str
    layer: int | str | None = None
    expert: int | None = None
    metric: str
    value: float | None = None
    difference: float
    interval: Interval | None = None
    verdict: str

    @property
    def distinguishable(self) -> bool:
        """Whether the interval excludes 0."""
        return self.verdict in ("better", "worse")


@attrs.frozen(kw_only=True)
class Routing(Record):
    """The content of routing.json.

    :param clips: that were observed.
    :param layers: over all clips.
    :param by: over the clips of each value of each label.
    :param information: of each label, by layer.
    :param baseline: None where no knockout was scored.
    """

    ERROR: ClassVar[type[SteermoeError]] = UsageError
    REMEDY: ClassVar[str] = "restore it, or move it away to report without it"

    split: str = ""
    clips: int
    layers: list[LayerStatistics]
    by: dict[str, dict[str, LabelValue]] = attrs.field(factory=dict)
    information: dict[str, list[Information]] = attrs.field(factory=dict)
    baseline: Baseline | None = None
    knockouts: list[KnockoutScore] = attrs.field(factory=list)
