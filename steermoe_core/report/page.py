"""The page: its contents, and one self-contained HTML file of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from steermoe_core.errors import CheckpointError, UsageError
from steermoe_core.report.charts import DISTINCT, bar_rows, chart, difference_axis, score_axis
from steermoe_core.report.clips import clips
from steermoe_core.report.comparison import ablation, differences
from steermoe_core.report.filters import FILTERS
from steermoe_core.report.lengths import lengths
from steermoe_core.report.overview import overview
from steermoe_core.report.routing import routing
from steermoe_core.report.runs import read_runs
from steermoe_core.report.scores import answers, scores
from steermoe_core.report.surroundings import certificates, environment, settings
from steermoe_core.report.training import training
from steermoe_core.run.folder.run_folder import write_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.plugins import Registry
    from steermoe_core.report.section import Section
    from steermoe_core.system.records import Json

_TEMPLATES = Path(__file__).parent / "templates"


@attrs.frozen
class Contents:
    """All that a report shows.

    :param runs: names of the runs.
    :param sections: by name; the head of the page is "overview".
    """

    title: str
    runs: list[str]
    sections: dict[str, Section]

    def to_json(self) -> Json:
        """Return the sections next to title and runs."""
        return {"title": self.title, "runs": self.runs, **self.sections}


def report(paths: Sequence[Path], registry: Registry, place: Path, *, audio: bool = True) -> None:
    """Write the page about some runs; it appears whole or not at all, and is the same for the same runs.

    :param audio: whether to embed sounds, for which the data is read.
    :raises SteermoeError: a path is not a run folder, a file in it cannot be read, or the page cannot be
        written.
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


def contents(paths: Sequence[Path], registry: Registry, *, audio: bool = True) -> Contents:
    """Return all that a report of some runs shows.

    :param audio: whether to embed sounds.
    :raises SteermoeError: a path is not a run folder, or a file in it cannot be read.
    """
    runs = read_runs(paths, registry)
    names = [run.name for run in runs]
    sections = {
        "overview": overview(runs),
        "ablation": ablation(runs, registry),
        "scores": scores(runs),
        "differences": differences(runs, registry),
        "training": training(runs),
        "clips": clips(runs, registry, audio=audio),
        "lengths": lengths(runs),
        "answers": answers(runs),
        "routing": routing(runs),
        "certificates": certificates(runs),
        "environment": environment(runs),
        "settings": settings(runs),
    }
    return Contents(" · ".join(names), names, sections)


def page(contents: Contents) -> str:
    """Return the HTML of a report; texts of models and people are escaped."""
    return _template().render(title=contents.title, runs=contents.runs, parts=contents.sections)


@cache
def _template() -> Template:
    jinja = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    drawing = (chart, bar_rows, score_axis, difference_axis)
    jinja.globals.update({one.__name__: one for one in drawing}, distinct=DISTINCT)
    jinja.filters.update(FILTERS)
    return jinja.get_template("page.html")
