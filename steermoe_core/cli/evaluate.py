"""`steermoe evaluate RUN…`: score a trained run again, or rescore runs from their saved predictions.

An interrupted evaluation resumes. With --from-predictions no model is loaded: the saved answers are scored by
the metrics of the run, and changed scores are written to the run folder; with --rule they are scored by other
text rules, and nothing is written.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

from steermoe_core.cli.shared.flags import count
from steermoe_core.cli.shared.scores import pathologies_line, plain, score, with_interval
from steermoe_core.cli.shared.table import Column, Table, figures, tags, words
from steermoe_core.system.printing import say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator, Sequence

    from steermoe_core.cli.shared.session import Session
    from steermoe_core.study.rescore import Rescored


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    from steermoe_core.evaluate.config import RuleName

    flag = parser.add_argument
    text = "a run folder; several of them with --from-predictions"
    flag("runs", nargs="+", type=Path, metavar="RUN", help=text)
    flag("--split", action="append", metavar="NAME", help="score only this split (repeatable)")
    flag("--batch-size", type=count, metavar="N", help="clips generated together; texts stay the same")
    text = "score the transcripts of the encoder's own decoder instead of the run's model"
    flag("--own-decoder", action="store_true", help=text)
    flag("--again", action="store_true", help="replace existing scores")
    text = "rescore saved predictions; load no model"
    flag("--from-predictions", action="store_true", help=text)
    text = "with --from-predictions: show the scores under this text rule and write nothing (repeatable)"
    flag("--rule", action="append", default=[], choices=get_args(RuleName), help=text)
    text = "with --from-predictions: show answers that loop, refuse, echo the prompt, …"
    flag("--pathologies", action="store_true", help=text)
    flag("--json", action="store_true", help="print the scores as JSON")


def run(args: Namespace, session: Session) -> int:
    """Score and print the tables."""
    _check(args)
    if args.from_predictions:
        return _from_predictions(args, session)
    if args.own_decoder:
        return _own_decoder(args, session)
    from steermoe_core.cli.shared.run_tables import print_results
    from steermoe_core.run.console import Console
    from steermoe_core.run.folder.finished import FinishedRun
    from steermoe_core.run.scoring.evaluate import evaluate_run

    folder = evaluate_run(
        args.runs[0],
        session.registry,
        Console(),
        splits=args.split,
        batch_size=args.batch_size,
        again=args.again,
    )
    print_results([FinishedRun(folder.path, session.registry)], session.console, as_json=args.json)
    return 0


def _check(args: Namespace) -> None:
    """Reject flags that contradict one another.

    :raises UsageError: a flag has no effect with the others.
    """
    from steermoe_core.errors import UsageError

    fresh = {"--batch-size": args.batch_size, "--own-decoder": args.own_decoder, "--again": args.again}
    saved = {"several runs": args.runs[1:], "--rule": args.rule, "--pathologies": args.pathologies}
    if args.from_predictions:
        for name in (name for name, value in fresh.items() if value):
            msg = f"{name} needs a model, and --from-predictions loads none: remove one of the two"
            raise UsageError(msg)
        return
    for name in (name for name, value in saved.items() if value):
        msg = f"{name} only with --from-predictions, which scores saved answers"
        raise UsageError(msg)


def _own_decoder(args: Namespace, session: Session) -> int:
    """Score the encoder's own decoder and print a row for each split and metric."""
    from steermoe_core.run.console import Console
    from steermoe_core.run.scoring.own_decoder import score_own_decoder
    from steermoe_core.study.seeds import own_decoder_group
    from steermoe_core.study.table import row

    score_own_decoder(
        args.runs[0],
        session.registry,
        Console(),
        splits=args.split,
        batch_size=args.batch_size,
        again=args.again,
    )
    group = own_decoder_group(args.runs[0], session.registry)
    rows = [row(group, split) for split in group.splits()]
    if args.json:
        say_json([one.to_json() for one in rows])
        return 0
    cells = [
        [one.split, str(one.clips), name.upper(), score(found)]
        for one in rows
        for name, found in one.metrics.items()
    ]
    title = "the encoder's own decoder, with 95 % intervals"
    columns = [*words("split"), *figures("clips", "score", "value")]
    session.console.print(Table(title=title, columns=columns, rows=cells))
    return 0


def _from_predictions(args: Namespace, session: Session) -> int:
    """Rescore the saved predictions of the runs."""
    from steermoe_core.study.rescore import rescore

    found = [
        one
        for path in args.runs
        for one in rescore(path, session.registry, splits=args.split, rules=args.rule)
    ]
    if args.json:
        say_json(found)
        return 0
    session.console.print(_table(found))
    for line in _lines(found, wrote=not args.rule, examples=args.pathologies):
        session.console.print(line, soft_wrap=True)
    return 0


def _table(found: Sequence[Rescored]) -> Table:
    """Return the table: a row for each run, split and metric, with the counts of its edits."""
    import attrs

    controls = list(dict.fromkeys(control for one in found for control in one.scores.controls))
    rows = []
    for one in found:
        for name, metric in one.scores.metrics.items():
            counts = ["–"] * 4 if metric.edits is None else map(str, attrs.astuple(metric.edits))
            others = (plain(one.scores.controls.get(control, {}).get(name)) for control in controls)
            rows.append([one.experiment, one.split, name, with_interval(metric), *counts, *others])
    columns = [Column("experiment"), *tags("split"), Column("metric", least=10)]
    columns += figures("score", "wrong", "missing", "more", "units")
    columns += figures(*(control.replace("-", "-\n") for control in controls))
    return Table(title="scores, with 95 % intervals", columns=columns, rows=rows)


def _lines(found: Sequence[Rescored], *, wrote: bool, examples: bool) -> Iterator[str]:
    """Yield which scores were changed, and the pathologies: their number, or their answers."""
    for one in found:
        where = f"{one.run}, {one.split}"
        if wrote:
            yield f"{where}: {'updated ' + ', '.join(one.changed) if one.changed else 'unchanged'}"
        if examples:
            yield from _examples(where, one)
        elif line := pathologies_line(one.scores.pathology_counts, len(one.predictions[""])):
            yield f"{where}: {line}"


def _examples(where: str, one: Rescored) -> Iterator[str]:
    """Yield the answers of each pathology, and the answers to sounds without speech."""
    rows = {row.id: row for row in one.predictions[""]}
    for name, found in one.scores.pathologies.items():
        yield f"{where}: {name} {found.count} ({100 * found.share:.1f} %)"
        for row in map(rows.__getitem__, found.ids):
            yield f"  {row.id}\n    reference   {row.reference}\n    hypothesis  {row.hypothesis}"
    for probe in getattr(one.scores, "probes", []):
        yield f"{where}: {probe.sound}, {probe.seconds:g} s: {probe.hypothesis or '(nothing)'}"
