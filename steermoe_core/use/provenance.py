"""What a run learnt from and what it was scored on, for people: sources and amounts, no path of a machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_origin

from steermoe_core.config.fields import fields_of
from steermoe_core.errors import SteermoeError
from steermoe_core.run.folder.records import Lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steermoe_core.component import Selection
    from steermoe_core.evaluate.scores import DataRecord
    from steermoe_core.run.folder.finished import FinishedRun


def data_lines(run: FinishedRun) -> list[str]:
    """Return a line of Markdown for each source of a run; none where its parts are not installed."""
    try:
        data = run.experiment.data
    except SteermoeError:
        return []
    counts = (run.lock or Lock()).data
    sources = {"train": data.train, **{name: [source] for name, source in data.eval.items()}}
    return [
        f"* {'training' if part == 'train' else f'score `{part}`'}{_amount(counts.get(part))}: "
        f"{' and '.join(map(_described, chosen))}"
        for part, chosen in sources.items()
    ]


def _amount(counts: DataRecord | None) -> str:
    return f", {counts.examples:,} clips, {counts.hours:.2f} hours" if counts else ""


def _described(source: Selection) -> str:
    settings = ", ".join(_settings(source.config))
    return f"`{source.name}`{f' ({settings})' if settings else ''}"


def _settings(config: Any) -> Iterator[str]:
    """Yield the choices among the settings of a source, and what else is not the default; no path."""
    for key, field in fields_of(type(config)).items():
        value = getattr(config, field.attribute.name)
        hidden = isinstance(value, Path) or str(value).startswith(("/", "~", "."))
        if not hidden and (get_origin(field.type) is Literal or value != field.default()):
            yield f"{key} {value if isinstance(value, str) else json.dumps(value)}"
