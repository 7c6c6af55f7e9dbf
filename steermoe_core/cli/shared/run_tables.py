"""The tables of a run: the scores of each split and of its controls, and the routing statistics."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from steermoe_core.cli.shared.scores import heading, pathologies_line, plain, with_interval
from steermoe_core.cli.shared.table import Column, Table, figures, tags, words
from steermoe_core.config.naming import some
from steermoe_core.system.printing import say_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from steermoe_core.evaluate.scores import Score
    from steermoe_core.run.folder.finished import FinishedRun
    from steermoe_core.system.records import Json
    from steermoe_core.system.terminal import Terminal

#: Characters of a name or an answer on one line of a cell.
_NAME = 16
#: Error rates that fit side by side in 80 columns.
_COLUMNS = 2


def print_results(found: Sequence[FinishedRun], console: Terminal, *, as_json: bool) -> None:
    """Print the runs side by side, as tables or as JSON."""
    if as_json:
        say_json([run.summary() for run in found])
        return
    console.print(_scores_table(found))
    for table in _accuracy_tables(found):
        console.print()
        console.print(table)
    for sentence in (*_not_shown(found), *_left_out(found), *_pathologies(found)):
        console.print(sentence, soft_wrap=True)
    for one in found:
        if (steering := _steering_table(one)) is not None:
            console.print()
            console.print(steering)
    for one in found:
        _print_end(one, console)


def _print_end(run: FinishedRun, console: Terminal) -> None:
    """Print how the training ended, failed certificates, and the run folder."""
    if sentence := run.adapter.training.sentence():
        console.print(f"{run.adapter.experiment}: {sentence}", soft_wrap=True)
    for failure in filter(None, (one.failure for one in run.certificates)):
        console.print(f"{run.adapter.experiment}: {failure}", style="bold red", soft_wrap=True)
    console.print(f"run folder: {run.path}", soft_wrap=True)


def _left_out(found: Sequence[FinishedRun]) -> Iterator[str]:
    for one in found:
        for split, scores in one.scores.items():
            for reason, names in scores.left_out.items():
                yield f"{split}: {len(names)} left out, {reason}: {some(names)}"


def _pathologies(found: Sequence[FinishedRun]) -> Iterator[str]:
    for one in found:
        for split, scores in one.scores.items():
            if line := pathologies_line(scores.pathology_counts, scores.examples):
                yield f"{one.adapter.experiment}, {split}: {line}"


def _error_rates(found: Sequence[FinishedRun]) -> list[str]:
    return _ordered(
        name
        for one in found
        for split in one.scores.values()
        for name, score in split.metrics.items()
        if not score.higher_is_better
    )


def _not_shown(found: Sequence[FinishedRun]) -> Iterator[str]:
    if more := _error_rates(found)[_COLUMNS:]:
        yield f"not shown: {', '.join(more)} (`steermoe evaluate RUN --from-predictions` shows all)"


def _scores_table(found: Sequence[FinishedRun]) -> Table:
    metrics = _error_rates(found)[:_COLUMNS]
    controls = _ordered(name for one in found for split in one.scores.values() for name in split.controls)
    columns = [*words("experiment"), *figures("trained"), *tags("split"), *figures("clips")]
    columns += figures(*map(heading, metrics))
    columns += figures(*(f"{control}\n{heading(metrics[0])}" for control in controls if metrics))
    rows = []
    for one in found:
        for split, scores in one.scores.items():
            cells = [with_interval(scores.metrics.get(name)) for name in metrics]
            cells += [
                plain(scores.controls.get(control, {}).get(name))
                for control in controls
                for name in metrics[:1]
            ]
            trained = f"{one.adapter.trainable_parameters:,}"
            rows.append([one.adapter.experiment, trained, split, str(scores.examples), *cells])
    return Table(title="scores, with 95 % intervals", columns=columns, rows=rows)


def _accuracy_tables(found: Sequence[FinishedRun]) -> Iterator[Table]:
    """Yield the accuracies of each split, with their controls, the best constant answer and the ceiling."""
    for one in found:
        for split, scores in one.scores.items():
            rows = {name: score for name, score in scores.metrics.items() if score.higher_is_better}
            if rows:
                yield _accuracy_table(
                    f"{one.adapter.experiment}: accuracies on {split}", rows, scores.controls
                )


def _accuracy_table(title: str, scores: dict[str, Score], controls: dict[str, dict[str, Score]]) -> Table:
    rows = []
    for name, score in scores.items():
        details = score.details
        rows.append(
            [
                "\n".join(wrap(name, _NAME)),
                str(details.get("judged", score.examples)),
                str(details.get("unparsed", "–")),
                with_interval(score),
                *(plain(control.get(name)) for control in controls.values()),
                _constant(details.get("constant")),
                "–" if details.get("ceiling") is None else f"{details['ceiling']:.3f}",
            ]
        )
    numbers = figures("judged", "unparsed", "score", *controls, "constant", "ceiling")
    return Table(title=f"{title}, with 95 % intervals", columns=[*tags("accuracy"), *numbers], rows=rows)


def _constant(constant: Json | None) -> str:
    return "–" if constant is None else f"{constant['value']:.3f}\n{constant['answer'][:_NAME]}"


def _steering_table(one: FinishedRun) -> Table | None:
    known = ((name, s) for name, s in one.scores.items() if s.steering)
    split, scores = next(known, (None, None))
    if scores is None or not all(layer.complete for layer in scores.steering):
        return None
    names = ("layer", "gate entropy (nats)", "experts in use", "dead", "scale", "shift / frame")
    rows = [
        [
            str(layer.layer),
            f"{layer.entropy:.2f}",
            f"{layer.effective:.1f}",
            str(layer.dead),
            f"{layer.scale:.3f}",
            f"{layer.relative_norm:.3f}",
            " ".join(f"{100 * share:.0f}" for share in layer.load),
        ]
        for layer in scores.steering
    ]
    return Table(
        title=f"{one.adapter.experiment}: steering on {split}",
        columns=[*(Column(name, "right") for name in names), *words("load of each expert (%)")],
        rows=rows,
    )


def _ordered(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
