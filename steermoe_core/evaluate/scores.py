"""scores.json: what an evaluation found on a split. Importing it is cheap: it computes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from steermoe_core.errors import SteermoeError, UsageError
from steermoe_core.system.records import Json, Record, rest

if TYPE_CHECKING:
    from typing_extensions import Self


@attrs.frozen
class Edits:
    """How far a hypothesis is from its reference.

    :param substitutions: reference units that were replaced.
    :param deletions: reference units that are missing.
    :param insertions: units that no reference unit stands for.
    :param reference: units of the reference (words, characters, tokens), or answers that were judged.
    """

    substitutions: int
    deletions: int
    insertions: int
    reference: int

    @property
    def errors(self) -> int:
        """Return all edits together."""
        return self.substitutions + self.deletions + self.insertions

    def __add__(self, other: Edits) -> Edits:
        """Return the counts of both."""
        return Edits(
            *(mine + its for mine, its in zip(attrs.astuple(self), attrs.astuple(other), strict=True))
        )


@attrs.frozen
class Interval:
    """A 95 % percentile interval.

    :param low: 2.5 % of the resampled values are below it.
    :param high: 2.5 % of them are above it.
    """

    low: float
    high: float


@attrs.frozen(kw_only=True)
class RuleVersion:
    """A text rule as it was when it was applied: a hash of its definition, libraries and Unicode tables."""

    name: str
    version: int
    sha256: str


@attrs.frozen(kw_only=True)
class Score:
    """A metric's value on a split.

    :param metric: its name.
    :param rule: the text rule; None for a metric without one.
    :param higher_is_better: whether a higher value is better; where there are edits, the value is then one
        minus the errors over the reference units.
    :param value: corpus score; None where no reference has a unit.
    :param interval: 95 % interval, resampled by cluster; None where there is nothing to resample.
    :param edits: counts of all examples together; None for a score that is no rate of edits.
    :param examples: how many were scored.
    :param clusters: how many independent groups they form.
    :param empty_references: examples whose reference has no unit, or that the metric does not judge.
    :param empty_insertions: insertions on them; they are part of `edits`.
    :param details: what else the metric reports.
    """

    metric: str = ""
    rule: RuleVersion | None = None
    higher_is_better: bool = False
    value: float | None
    interval: Interval | None
    edits: Edits | None
    examples: int
    clusters: int
    empty_references: int = 0
    empty_insertions: int = 0
    details: Json = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Pathology:
    """Hypotheses with one kind of defect: how many, their share, and the first ids."""

    count: int
    share: float
    ids: list[str]


@attrs.frozen(kw_only=True)
class LengthRatio:
    """Units of the hypothesis over units of the reference: median and outer 5 %."""

    low: float
    median: float
    high: float


@attrs.frozen(kw_only=True)
class ProbeAnswer:
    """The hypothesis for a sound without speech."""

    sound: str
    seconds: float
    hypothesis: str


@attrs.frozen(kw_only=True)
class LayerStatistics:
    """What the gates of a steered layer did over valid frames; a plugin's adapter may report less, or more.

    :param layer: its number or name.
    :param load: mean gate of each expert.
    :param entropy: of the gates, in nats.
    :param effective: number of experts in use.
    :param dead: number of experts that are never used.
    :param scale: of the shift.
    :param relative_norm: norm of the shift over that of the frame.
    :param others: further statistics.
    """

    layer: int | str
    load: list[float] = attrs.field(factory=list)
    entropy: float | None = None
    effective: float | None = None
    dead: int | None = None
    scale: float | None = None
    relative_norm: float | None = None
    others: Json = rest()

    @property
    def complete(self) -> bool:
        """Whether it has all statistics of a router."""
        figures = (self.entropy, self.effective, self.dead, self.scale, self.relative_norm)
        return bool(self.load) and None not in figures


@attrs.frozen(kw_only=True)
class DataRecord:
    """The size of a set of examples, and a hash of ids, texts and audio sizes."""

    examples: int
    hours: float
    sha256: str


@attrs.frozen(kw_only=True)
class Decoding:
    """How hypotheses were found: so many clips together, or as many as fit in so many cached tokens.

    :param greedy: whether the decoder generated them.
    :param nbest: number of CTC's texts among which the decoder chose; 0 where it generated.
    :param nbest_weight: weight of the decoder in the choice.
    """

    greedy: bool
    batch_size: int | None = None
    batch_tokens: int | None = None
    nbest: int = 0
    nbest_weight: float | None = None


@attrs.frozen(kw_only=True)
class Judged:
    """The part of scores.json that the hypotheses alone decide.

    :param metrics: scores by metric.
    :param controls: the same of each control.
    :param pathologies: defects of the hypotheses by kind.
    :param length_ratio: None without a reference.
    """

    metrics: dict[str, Score]
    controls: dict[str, dict[str, Score]]
    pathologies: dict[str, Pathology] = attrs.field(factory=dict)
    length_ratio: LengthRatio | None = None

    @property
    def pathology_counts(self) -> dict[str, int]:
        """Return how many hypotheses have each kind of defect."""
        return {name: found.count for name, found in self.pathologies.items()}


@attrs.frozen(kw_only=True)
class Scores(Judged, Record):
    """The content of scores.json.

    :param split: its name.
    :param data: what was scored.
    :param examples: hypotheses of the model.
    :param hours: of their audio.
    :param audio_tokens_per_second: mean number of audio tokens; None where there are none.
    :param left_out: ids of the examples that were not scored, by reason.
    :param probes: hypotheses for sounds without speech.
    :param steering: statistics of the gates, a record a steered layer.
    :param stops: why generation stopped, with counts.
    :param seconds: that the evaluation took.
    """

    ERROR: ClassVar[type[SteermoeError]] = UsageError
    REMEDY: ClassVar[str] = "score the run again with `steermoe evaluate --again`"
    MISSING: ClassVar[str] = "score the run again with `steermoe evaluate`"

    split: str = ""
    data: DataRecord | None = None
    examples: int
    hours: float = 0.0
    audio_tokens_per_second: float | None = None
    left_out: dict[str, list[str]]
    probes: list[ProbeAnswer] = attrs.field(factory=list)
    steering: list[LayerStatistics]
    stops: dict[str, int] = attrs.field(factory=dict)
    decoding: Decoding | None = None
    seconds: float = 0.0

    @classmethod
    def of(cls, judged: Judged, **facts: Any) -> Self:
        """Return the scores with what the hypotheses decide, and other facts."""
        return cls(**{field.name: getattr(judged, field.name) for field in attrs.fields(Judged)}, **facts)
