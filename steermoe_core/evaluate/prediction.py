"""What the model said to one clip, with all that a metric may want to know: a line of predictions.jsonl."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.errors import UsageError
from steermoe_core.system.records import parsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def _tuple(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(values)


def _dict(values: Mapping[str, str]) -> dict[str, str]:
    return dict(values)


def _counts(values: Mapping[str, Iterable[int]]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(counts) for name, counts in values.items()}


@attrs.frozen(kw_only=True)
class Prediction:
    """One answer of the model and what it is judged by.

    :param id: of the example.
    :param reference: its text.
    :param hypothesis: what the model said.
    :param seconds: duration of the clip.
    :param tokens: of the answer.
    :param stop: "eos" or "limit".
    :param cluster: speaker or group of the example; None: it stands alone.
    :param prompt: the example's own question; None where all have one.
    :param references: all accepted answers; empty: the reference alone.
    :param labels: what is known of the example beside its text.
    :param ids: tokens of the answer, without the end token.
    :param reference_ids: tokens that the reference would have as an answer, without the end token.
    :param heard: id of the clip whose audio was heard in place of the example's own; None: its own, or none.
    :param edits: for each metric its substitutions, deletions, insertions and reference units.
    """

    id: str
    reference: str
    hypothesis: str
    seconds: float
    tokens: int
    stop: str
    cluster: str | None = None
    prompt: str | None = None
    references: tuple[str, ...] = attrs.field(default=(), converter=_tuple)
    labels: dict[str, str] = attrs.field(factory=dict, converter=_dict)
    ids: tuple[int, ...] = attrs.field(default=(), converter=_tuple)
    reference_ids: tuple[int, ...] = attrs.field(default=(), converter=_tuple)
    heard: str | None = None
    edits: dict[str, tuple[int, ...]] = attrs.field(factory=dict, converter=_counts)

    @property
    def accepted(self) -> tuple[str, ...]:
        """Return every answer that counts as right, at least one."""
        return self.references or (self.reference,)

    def line(self) -> str:
        """Return it as a line of predictions.jsonl."""
        return json.dumps(attrs.asdict(self), ensure_ascii=False) + "\n"


def file_name(control: str = "") -> str:
    """Return what the file of a control's answers is called; without a control, the model's."""
    return f"predictions.{control}.jsonl" if control else "predictions.jsonl"


def read(path: Path) -> list[Prediction]:
    """Return the lines of a predictions.jsonl.

    :raises UsageError: when the file is missing or a line is no prediction.
    """
    try:
        with path.open(encoding="utf-8") as file:
            lines = list(file)  # cut at line breaks alone; texts may hold other separators
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        msg = f"{path} cannot be read ({reason}); score the run again with `steermoe evaluate --again`"
        raise UsageError(msg) from None
    return [_prediction(f"{path}:{number}", line) for number, line in enumerate(lines, 1)]


def _prediction(place: str, line: str) -> Prediction:
    try:
        return parsed(line, Prediction)
    except ValueError as error:
        msg = f"{place}: not a prediction ({error}); score the run again with `steermoe evaluate --again`"
        raise UsageError(msg) from None
