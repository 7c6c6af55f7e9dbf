"""The tables of a run: the scores of each split and of its controls, and the routing statistics."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

from steermoe_core.cli.shared.scores import heading, pathologies_line, plain, with_interval
from steermoe_core.cli.shared.table import Column, Table, figures, tags, words
from steermoe_core.data.usable import some
from steermoe_core.evaluate.pathologies import counts
from steermoe_core.run.folder.finished import ended, results
from steermoe_core.system.printing import say_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from steermoe_core.run.folder.run_folder import RunFolder
    from steermoe_core.system.terminal import Terminal

#: Characters of a name or an answer on one line of a cell.
_NAME = 16
#: Error rates that fit side by side in 80 columns.
_COLUMNS = 2
#: Statistics of a layer that the table shows; the adapter of a plugin may have others.
_LAYER = {"layer", "entropy", "effective", "dead", "scale", "relative_norm", "load"}


def print_results(folders: Sequence[RunFolder], console: Terminal, *, as_json: bool) -> None:
    """Print the runs side by side, as tables or as JSON."""
    found = [results(folder) for folder in folders]
    if as_json:
        say_json(found)
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


def _print_end(one: dict[str, Any], console: Terminal) -> None:
    """Print the sentences about the end of a run, its failed certificates, and its folder."""
    for sentence in ended(one["training"]):
        console.print(f"{one['experiment']}: {sentence}", soft_wrap=True)
    for sentence in _failed(one["certificates"]):
        console.print(f"{one['experiment']}: {sentence}", style="bold red", soft_wrap=True)
    console.print(f"run folder: {one['run']}", soft_wrap=True)


def _left_out(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    for one in found:
        for split, scores in one["splits"].items():
            for reason, names in scores["left_out"].items():
                yield f"{split}: {len(names)} left out, {reason}: {some(names)}"


def _pathologies(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    for one in found:
        for split, scores in one["splits"].items():
            if line := pathologies_line(counts(scores), scores["examples"]):
                yield f"{one['experiment']}, {split}: {line}"


def _failed(certificates: Sequence[dict[str, Any]]) -> Iterator[str]:
    for one in certificates:
        if one["passed"] is False:
            repeat = f" (`{one['command']}` measures it again)" if one.get("command") else ""
            yield f"CERTIFICATE FAILED: {one['name']}: {one.get('why', 'no reason is given')}{repeat}"


def _error_rates(found: Sequence[dict[str, Any]]) -> list[str]:
    return _ordered(
        name
        for one in found
        for split in one["splits"].values()
        for name, score in split["metrics"].items()
        if not _is_accuracy(score)
    )


def _not_shown(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    if more := _error_rates(found)[_COLUMNS:]:
        yield f"not shown: {', '.join(more)} (`steermoe evaluate RUN --from-predictions` shows all)"


def _scores_table(found: Sequence[dict[str, Any]]) -> Table:
    metrics = _error_rates(found)[:_COLUMNS]
    controls = _ordered(
        name for one in found for split in one["splits"].values() for name in split["controls"]
    )
    columns = [*words("experiment"), *figures("trained"), *tags("split"), *figures("clips")]
    columns += figures(*map(heading, metrics))
    columns += figures(*(f"{control}\n{heading(metrics[0])}" for control in controls if metrics))
    rows = []
    for one in found:
        for split, scores in one["splits"].items():
            cells = [with_interval(scores["metrics"].get(name)) for name in metrics]
            cells += [
                plain(scores["controls"].get(control, {}).get(name))
                for control in controls
                for name in metrics[:1]
            ]
            trained = f"{one['trainable_parameters']:,}"
            rows.append([one["experiment"], trained, split, str(scores["examples"]), *cells])
    return Table(title="scores, with 95 % intervals", columns=columns, rows=rows)


def _accuracy_tables(found: Sequence[dict[str, Any]]) -> Iterator[Table]:
    """Yield the accuracies of each split, with their controls, the best constant answer and the ceiling."""
    for one in found:
        for split, scores in one["splits"].items():
            rows = {name: score for name, score in scores["metrics"].items() if _is_accuracy(score)}
            if rows:
                yield _accuracy_table(f"{one['experiment']}: accuracies on {split}", rows, scores["controls"])


def _accuracy_table(title: str, scores: dict[str, Any], controls: dict[str, Any]) -> Table:
    rows = []
    for name, score in scores.items():
        details = score["details"]
        rows.append(
            [
                "\n".join(wrap(name, _NAME)),
                str(details.get("judged", score["examples"])),
                str(details.get("unparsed", "–")),
                with_interval(score),
                *(plain(control.get(name)) for control in controls.values()),
                _constant(details.get("constant")),
                "–" if details.get("ceiling") is None else f"{details['ceiling']:.3f}",
            ]
        )
    numbers = figures("judged", "unparsed", "score", *controls, "constant", "ceiling")
    return Table(title=f"{title}, with 95 % intervals", columns=[*tags("accuracy"), *numbers], rows=rows)


def _is_accuracy(score: dict[str, Any]) -> bool:
    """Return whether higher is better."""
    return bool(score.get("higher_is_better"))


def _constant(constant: dict[str, Any] | None) -> str:
    return "–" if constant is None else f"{constant['value']:.3f}\n{constant['answer'][:_NAME]}"


def _steering_table(one: dict[str, Any]) -> Table | None:
    known = ((name, s) for name, s in one["splits"].items() if s["steering"])
    split, scores = next(known, (None, None))
    if scores is None or not all(layer.keys() >= _LAYER for layer in scores["steering"]):
        return None
    names = ("layer", "gate entropy (nats)", "experts in use", "dead", "scale", "shift / frame")
    rows = [
        [
            str(layer["layer"]),
            f"{layer['entropy']:.2f}",
            f"{layer['effective']:.1f}",
            str(layer["dead"]),
            f"{layer['scale']:.3f}",
            f"{layer['relative_norm']:.3f}",
            " ".join(f"{100 * share:.0f}" for share in layer["load"]),
        ]
        for layer in scores["steering"]
    ]
    return Table(
        title=f"{one['experiment']}: steering on {split}",
        columns=[*(Column(name, "right") for name in names), *words("load of each expert (%)")],
        rows=rows,
    )


def _ordered(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
