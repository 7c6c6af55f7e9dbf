"""The page: its contents as plain values, and one self-contained HTML file of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from steermoe_core.errors import CheckpointError, UsageError
from steermoe_core.report import bars, wording
from steermoe_core.report.ablation import ablation
from steermoe_core.report.answers import answers
from steermoe_core.report.charts import DISTINCT, around, beside, chart
from steermoe_core.report.clips import clips
from steermoe_core.report.lengths import lengths
from steermoe_core.report.overview import overview
from steermoe_core.report.routing import routing
from steermoe_core.report.runs import runs
from steermoe_core.report.scores import differences, scores
from steermoe_core.report.surroundings import certificates, environment, settings
from steermoe_core.report.training import training
from steermoe_core.run.folder.run_folder import write_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.plugins import Registry

_TEMPLATES = Path(__file__).parent / "templates"


def report(paths: Sequence[Path], registry: Registry, place: Path, *, audio: bool = True) -> None:
    """Write the page about some runs; it appears whole or not at all, and is the same for the same runs.

    :param audio: whether to embed sounds, which takes reading the data.
    :raises SteermoeError: a folder is none of a run or cannot be read, or the page cannot be written.
    """
    html = page(contents(paths, registry, audio=audio))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_text(place, html)
    except (OSError, CheckpointError) as error:
        cause = error.__cause__ or error
        reason = getattr(cause, "strerror", None) or cause
        msg = f"the report cannot be written to {place} ({reason}); choose another place with --out"
        raise UsageError(msg) from None


def contents(paths: Sequence[Path], registry: Registry, *, audio: bool = True) -> dict[str, Any]:
    """Return all that a report of some runs says, section by section, as plain values.

    Each section has `missing`, a sentence where the runs have nothing to say there, and `commands`, which
    make its figures again.

    :param audio: whether to embed sounds.
    :raises SteermoeError: a folder is none of a run, or cannot be read.
    """
    found = runs(paths, registry)
    return {
        "title": " · ".join(run.name for run in found),
        "runs": [run.name for run in found],
        "overview": overview(found),
        "ablation": ablation(found, registry),
        "scores": scores(found),
        "differences": differences(found, registry),
        "training": training(found),
        "clips": clips(found, registry, audio=audio),
        "lengths": lengths(found),
        "answers": answers(found),
        "routing": routing(found),
        "certificates": certificates(found),
        "environment": environment(found),
        "settings": settings(found),
    }


def page(said: dict[str, Any]) -> str:
    """Return the HTML of what `contents` returns; texts of models and people are escaped."""
    return _template().render(said, parts=said)


@cache
def _template() -> Template:
    jinja = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    jinja.globals.update(chart=chart, around=around, beside=beside, distinct=DISTINCT)
    jinja.globals.update(by_duration=bars.by_duration, by_clip=bars.by_clip, durations=bars.durations)
    jinja.filters.update(wording.FILTERS)
    return jinja.get_template("page.html")
