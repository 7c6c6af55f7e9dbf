"""What every tracker receives, independent of any tracker: figures by step, scores, clips, settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
import tomli

from steermoe_core import DataError, FinishedRun

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from steermoe_core import Example, Prediction, Scores

RATE = 16_000
#: Where figures of metrics.jsonl go that are no group of their own.
_GROUPS = {"loss": "train/loss", "losses": "train/losses", "seconds_per_step": "train/seconds_per_step"}


@attrs.frozen
class Figures:
    """Numbers of a step, by name: ``train/loss``, ``learning_rate/router``, ``steering/layer_3/entropy``."""

    step: int
    values: dict[str, float]


@attrs.frozen
class Run:
    """The run as a tracker lists it.

    :param name: of its folder.
    :param settings: of its experiment, by path: ``train/steps``.
    """

    name: str
    folder: Path
    settings: dict[str, str | float]

    @classmethod
    def of(cls, folder: Path) -> Run:
        """Return the run of a folder."""
        table = tomli.loads((folder / "experiment.toml").read_text(encoding="utf-8"))
        return cls(folder.name, folder, dict(_leaves("", table)))


@attrs.frozen(eq=False)
class Clip:
    """A clip with its hypothesis.

    :param errors: edits that the first metric with edits counts.
    :param waveform: (samples,) float32 at `RATE`, full scale at ±1; None where it cannot be decoded.
    """

    id: str
    errors: int
    reference: str
    hypothesis: str
    waveform: NDArray[np.float32] | None

    @property
    def row(self) -> dict[str, str | int]:
        """Everything but the audio."""
        return {
            "id": self.id, "errors": self.errors, "reference": self.reference, "hypothesis": self.hypothesis,
        }  # fmt: skip


class MetricsFile:
    """Reads metrics.jsonl while it grows, and merges the lines of a step."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._open: Figures | None = None  # its step may have more lines

    def read(self, *, whole: bool) -> Iterator[Figures]:
        """Yield the steps that are complete since the last call: a line of a later step follows.

        :param whole: the last step is complete, too.
        """
        for line in self._lines():
            values = {
                name: number
                for key, value in line.items()
                if key != "step"
                for name, number in _numbers(_GROUPS.get(key, key), value)
            }
            if self._open and self._open.step == line["step"]:
                values = self._open.values | values
            elif self._open:
                yield self._open
            self._open = Figures(line["step"], values)
        if whole and self._open:
            yield self._open

    def _lines(self) -> Iterator[dict[str, Any]]:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                yield json.loads(line)


def score_figures(split: str, scores: Scores) -> dict[str, float]:
    """Return the scores of a split and of its controls, with their intervals."""
    groups = {f"eval/{split}": scores.metrics}
    groups |= {f"eval/{split}/{control}": found for control, found in scores.controls.items()}
    found: dict[str, float] = {}
    for group, metrics in groups.items():
        for metric, score in metrics.items():
            name = f"{group}/{metric}"
            if score.value is not None:
                found[name] = score.value
            if score.interval:
                found |= {f"{name}_low": score.interval.low, f"{name}_high": score.interval.high}
    return found


def worst_clips(folder: Path, split: str, examples: Sequence[Example], most: int) -> list[Clip]:
    """Return the clips with the most errors, the worst first; none if no metric counts edits."""
    rows = FinishedRun(folder).predictions(split)
    wrong = sorted((row for row in rows if _errors(row)), key=lambda row: (-_errors(row), row.id))[:most]
    by_id = {example.id: example for example in examples} if wrong else {}
    return [
        Clip(row.id, _errors(row), row.reference, row.hypothesis, _waveform(by_id.get(row.id)))
        for row in wrong
    ]


def _errors(row: Prediction) -> int:
    substitutions, deletions, insertions, _ = next(iter(row.edits.values()), (0, 0, 0, 0))
    return substitutions + deletions + insertions


def _waveform(example: Example | None) -> NDArray[np.float32] | None:
    try:
        return example.waveform(RATE) if example else None
    except DataError:  # features without audio, or a file that is no longer there
        return None


def _numbers(name: str, value: Any) -> Iterator[tuple[str, float]]:
    """Yield the numbers in a value of a line by name; records of a list are named by layer and texts."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return
    if isinstance(value, (int, float)):
        yield name, float(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _numbers(f"{name}/{key}", inner)
    else:
        for number, inner in enumerate(value):
            place, rest = _place(number, inner)
            yield from _numbers(f"{name}/{place}", rest)


def _place(number: int, record: Any) -> tuple[str, Any]:
    """Return the name of an item of a list, and what is left of the item."""
    if not isinstance(record, dict) or "layer" not in record:
        return str(number), record
    texts = [text for key, text in record.items() if key != "layer" and isinstance(text, str)]
    rest = {key: value for key, value in record.items() if key != "layer"}
    return "/".join([f"layer_{record['layer']}", *texts]), rest


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str | float]]:
    """Yield the values of a table by path; a list of plain values is one text."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{path}/{key}" if path else key, inner)
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for number, inner in enumerate(value):
            yield from _leaves(f"{path}/{number}", inner)
    else:
        yield path, value if isinstance(value, (str, int, float)) else json.dumps(value)
