"""How errors are distributed: by kind, by duration of the clip, by clip."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import attrs

from steermoe_core.evaluate.durations import by_duration
from steermoe_core.evaluate.metrics import total
from steermoe_core.report.charts import Bar
from steermoe_core.report.filters import count, figure
from steermoe_core.report.runs import answers_to, split_names
from steermoe_core.report.section import Section
from steermoe_core.run.preview.data import histogram

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.report.runs import Answer, Run
    from steermoe_core.system.records import Json

#: Clips with this many errors or more are counted together.
_MANY = 5


def lengths(runs: Sequence[Run]) -> Section:
    """Return how errors and durations are distributed, by each run's first metric that counts edits."""
    splits = [_split(name, found) for name in split_names(runs) if (found := answers_to(name, runs))]
    return Section(
        content={"splits": splits},
        missing=None if splits else "No clip has been scored yet.",
        commands=[run.command("report", flags=["--json"]) for run in runs if run.splits],
    )


def _split(name: str, answers: Sequence[tuple[Run, Sequence[Answer]]]) -> Json:
    run, first = answers[0]
    durations = histogram([answer.prediction.seconds for answer in first])
    return {
        "split": name,
        "metric": run.counting.name if run.counting else None,
        "durations": [
            Bar(f"{one.low:g} – {one.high:g} s", one.clips, count(one.clips), one.to_json())
            for one in durations
        ],
        "kinds": [_kinds(run, rows) for run, rows in answers],
        "by_duration": [{"run": run.name, "groups": list(_by_duration(run, rows))} for run, rows in answers],
        "by_clip": [{"run": run.name, "groups": list(_by_clip(rows))} for run, rows in answers],
    }


def _kinds(run: Run, answers: Sequence[Answer]) -> Json:
    """Return the errors by kind, and how the answers ended."""
    edits = total(answer.edits for answer in answers)
    stops = Counter(answer.prediction.stop for answer in answers)
    return {
        "run": run.name,
        "whole": _higher(run),
        **attrs.asdict(edits),
        "errors": edits.errors,
        "ended": stops["eos"],
        "limit": stops["limit"],
    }


def _by_duration(run: Run, answers: Sequence[Answer]) -> Iterator[Bar]:
    """Yield the score of clips of similar duration."""
    pairs = [(answer.prediction, answer.edits) for answer in answers]
    for group in by_duration(pairs, higher_is_better=_higher(run)):
        label = f"{figure(group.shortest, 1)} – {figure(group.longest, 1)} s"
        facts = {
            "from": group.shortest,
            "to": group.longest,
            "clips": group.clips,
            "value": group.value,
            "interval": group.interval,
        }
        yield Bar(label, group.value, figure(group.value), facts)


def _higher(run: Run) -> bool:
    return run.counting is not None and run.counting.higher_is_better


def _by_clip(answers: Sequence[Answer]) -> Iterator[Bar]:
    """Yield the number of clips with each number of errors."""
    counts = Counter(min(answer.edits.errors, _MANY) for answer in answers)
    for errors in range(max(counts, default=0) + 1):
        more, clips = errors == _MANY, counts[errors]
        facts = {"errors": errors, "more": more, "clips": clips}
        yield Bar(f"{errors} or more" if more else str(errors), clips, count(clips), facts)
