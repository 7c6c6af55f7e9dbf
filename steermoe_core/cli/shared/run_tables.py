"""The table of a run: what was reached on each split, what the controls reach, what the routers do."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

from steermoe_core.cli.shared.cells import heading, new_table, pathologies_line, plain, with_interval
from steermoe_core.data.usable import some
from steermoe_core.system.printing import say_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.table import Table

    from steermoe_core.evaluate.scores import Score
    from steermoe_core.run.folder.finished import FinishedRun
    from steermoe_core.system.terminal import Terminal

#: Letters of a name or an answer on one line of a cell.
_NAME = 16
#: Error rates that have room side by side in 80 columns.
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
    for run in found:
        if (steering := _steering_table(run)) is not None:
            console.print()
            console.print(steering)
    for run in found:
        _print_end(run, console)


def _print_end(run: FinishedRun, console: Terminal) -> None:
    """Print how the training ended, failed certificates, and the run folder."""
    if sentence := run.adapter.training.sentence():
        console.print(f"{run.adapter.experiment}: {sentence}", soft_wrap=True)
    for failure in filter(None, (one.failure for one in run.certificates)):
        console.print(f"{run.adapter.experiment}: {failure}", style="bold red", soft_wrap=True)
    console.print(f"run folder: {run.path}", soft_wrap=True)


def _left_out(found: Sequence[FinishedRun]) -> Iterator[str]:
    for run in found:
        for split, scores in run.scores.items():
            for reason, names in scores.left_out.items():
                yield f"{split}: {len(names)} left out, {reason}: {some(names)}"


def _pathologies(found: Sequence[FinishedRun]) -> Iterator[str]:
    for run in found:
        for split, scores in run.scores.items():
            if line := pathologies_line(scores.pathology_counts, scores.examples):
                yield f"{run.adapter.experiment}, {split}: {line}"


def _error_rates(found: Sequence[FinishedRun]) -> list[str]:
    return _ordered(
        name
        for run in found
        for scores in run.scores.values()
        for name, score in scores.metrics.items()
        if not score.higher_is_better
    )


def _not_shown(found: Sequence[FinishedRun]) -> Iterator[str]:
    if more := _error_rates(found)[_COLUMNS:]:
        yield f"further metrics: {', '.join(more)} (`steermoe score RUN` shows all)"


def _scores_table(found: Sequence[FinishedRun]) -> Table:
    metrics = _error_rates(found)[:_COLUMNS]
    controls = _ordered(name for run in found for scores in run.scores.values() for name in scores.controls)
    table = new_table("scores, with 95 % intervals")
    # Where the terminal is narrow, names are folded and no figure is cut.
    table.add_column("experiment", overflow="fold")
    for name in ("trained", "split", "clips"):
        table.add_column(name, justify="left" if name == "split" else "right", no_wrap=True)
    for name in metrics:
        table.add_column(heading(name), justify="right", no_wrap=True)
    for control in controls if metrics else ():
        table.add_column(f"{control}\n{heading(metrics[0])}", justify="right", no_wrap=True)
    for run in found:
        for split, scores in run.scores.items():
            table.add_row(
                run.adapter.experiment,
                f"{run.adapter.trainable_parameters:,}",
                split,
                str(scores.examples),
                *(with_interval(scores.metrics.get(name)) for name in metrics),
                *(plain(scores.controls.get(c, {}).get(name)) for c in controls for name in metrics[:1]),
            )
    return table


def _accuracy_tables(found: Sequence[FinishedRun]) -> Iterator[Table]:
    """Yield the accuracies of each split, with those of the controls and the best that can be reached."""
    for run in found:
        for split, scores in run.scores.items():
            rows = {name: score for name, score in scores.metrics.items() if score.higher_is_better}
            if rows:
                title = f"{run.adapter.experiment}: accuracies on {split}"
                yield _accuracy_table(title, rows, scores.controls)


def _accuracy_table(title: str, rows: dict[str, Score], controls: dict[str, dict[str, Score]]) -> Table:
    table = new_table(f"{title}, with 95 % intervals")
    for name in ("accuracy", "judged", "unparsed", "score", *controls, "constant", "ceiling"):
        table.add_column(name, justify="left" if name == "accuracy" else "right", no_wrap=True)
    for name, score in rows.items():
        details = score.details
        table.add_row(
            "\n".join(wrap(name, _NAME)),
            str(details.get("judged", score.examples)),
            str(details.get("unparsed", "–")),
            with_interval(score),
            *(plain(control.get(name)) for control in controls.values()),
            _constant(details.get("constant")),
            "–" if details.get("ceiling") is None else f"{details['ceiling']:.3f}",
        )
    return table


def _constant(constant: dict[str, Any] | None) -> str:
    return "–" if constant is None else f"{constant['value']:.3f}\n{constant['answer'][:_NAME]}"


def _steering_table(run: FinishedRun) -> Table | None:
    split = next((split for split, scores in run.scores.items() if scores.steering), None)
    if split is None or not all(layer.complete for layer in run.scores[split].steering):
        return None  # a plugin's adapter may report other statistics
    table = new_table(f"{run.adapter.experiment}: steering on {split}")
    for name in ("layer", "gate entropy (nats)", "experts in use", "dead", "scale", "shift / frame"):
        table.add_column(name, justify="right")
    table.add_column("load of each expert (%)", overflow="fold")
    for layer in run.scores[split].steering:
        table.add_row(
            str(layer.layer),
            f"{layer.entropy:.2f}",
            f"{layer.effective:.1f}",
            str(layer.dead),
            f"{layer.scale:.3f}",
            f"{layer.relative_norm:.3f}",
            " ".join(f"{100 * share:.0f}" for share in layer.load),
        )
    return table


def _ordered(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
