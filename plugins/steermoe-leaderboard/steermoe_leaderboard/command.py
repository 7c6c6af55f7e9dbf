"""`steermoe leaderboard MODEL --out DIR`: score a model on the Open ASR sets as the leaderboard does."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from steermoe_core import UsageError
from steermoe_leaderboard.sets import SETS

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from steermoe_core import Metric, Session, Transcriber
    from steermoe_leaderboard.clips import Clip
    from steermoe_leaderboard.results import About, Folder
    from steermoe_leaderboard.scoring import SetScore
    from steermoe_leaderboard.sets import EvalSet

_HOUR = 3600


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument(
        "model", metavar="MODEL", help="run or adapter folder, hub:OWNER/NAME, or a plugin's adapter"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the results")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder with a folder of parquet files a set (default: the hub)",
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=[one.name for one in SETS],
        metavar="SET",
        help=f"a set to score (repeatable; default: all): {', '.join(one.name for one in SETS)}",
    )
    parser.add_argument("--again", action="store_true", help="score sets that are complete in --out, too")
    parser.add_argument("--name", metavar="OWNER/NAME", help="name of the model in the files")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="where it computes")
    parser.add_argument(
        "--batch-size",
        type=int,
        default=16,
        metavar="N",
        help="clips that are decoded together (default %(default)s)",
    )
    parser.add_argument(
        "--warm-up",
        type=int,
        default=10,
        metavar="N",
        help="batches of each set before its time is taken (default %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")


def run(args: Namespace, session: Session) -> int:
    """Score the sets that are not complete, write the results and print them; return the exit code.

    :raises UsageError: a flag has an impossible value, or the folder has the results of another model.
    :raises DataError: a set is missing or incomplete.
    :raises SetupError: the hub did not give a set.
    """
    for name, least in (("batch_size", 1), ("warm_up", 0)):
        if getattr(args, name) < least:
            msg = f"--{name.replace('_', '-')} must be at least {least}, is {getattr(args, name)}"
            raise UsageError(msg)
    from steermoe_leaderboard.clips import component
    from steermoe_leaderboard.results import Folder
    from steermoe_leaderboard.scoring import scored

    chosen = [one for one in SETS if args.only is None or one.name in args.only]
    folder = Folder(args.out, args.name or _name(args.model))
    metric = component(session, "metric", "wer", normalise="open-asr")
    if todo := [one for one in chosen if args.again or one.name not in folder.done]:
        _score(todo, folder, metric, args, session)
    scores = {one.name: scored(one, folder.lines(one), metric) for one in SETS if one.name in folder.done}
    _write(folder, scores, metric)
    _report(folder, scores, args, session)
    return 0


def _score(
    todo: Sequence[EvalSet], folder: Folder, metric: Metric, args: Namespace, session: Session
) -> None:
    """Transcribe sets; all are read before the model is loaded, so that a missing one is reported early."""
    from rich.console import Console
    from rich.progress import Progress

    from steermoe_core import Transcriber
    from steermoe_leaderboard.results import Done
    from steermoe_leaderboard.scoring import transcribed

    read = [(one, *_clips(one, metric, args, session)) for one in todo]
    model = Transcriber(args.model, session.registry, args.device, args.batch_size)
    folder.check(_about(model, folder.name), todo)
    err = Console(stderr=True)
    with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
        for one, clips, left_out, revision in read:
            bar = progress.add_task(one.name, total=sum(clip.seconds for clip in clips))
            lines = transcribed(
                model,
                clips,
                batch_size=args.batch_size,
                warm_up=args.warm_up,
                progressed=partial(progress.advance, bar),
            )
            today = datetime.now(timezone.utc).date().isoformat()
            setup = f"{_device(model)}, batches of {args.batch_size}"
            folder.add(one, lines, Done(left_out=left_out, revision=revision, date=today, setup=setup))


def _clips(one: EvalSet, metric: Metric, args: Namespace, session: Session) -> tuple[list[Clip], int, str]:
    """Return the clips of a set that are scored, how many are not, and the commit of its dataset."""
    from steermoe_leaderboard.clips import fetched, local, newest, scored

    revision = "" if args.data else newest(one.repo)
    clips = local(one, args.data, session) if args.data else fetched(one, revision, session)
    kept = scored(one, clips, metric.rule.normalise) if metric.rule else clips
    return kept, len(clips) - len(kept), revision


def _name(model: str) -> str:
    """Return the name of a model in the files: without the folders above it, or the prefix of the hub."""
    path = Path(model)
    if path.exists():
        return path.resolve().name
    return model.removeprefix("hub:").partition("@")[0]


def _about(model: Transcriber, name: str) -> About:
    import hashlib

    from steermoe_leaderboard.results import About

    weights = (model.folder / "adapter.safetensors").read_bytes()
    return About(
        model=name,
        sha256=hashlib.sha256(weights).hexdigest(),
        parameters=sum(one.numel() for one in model.model.parameters()),
    )


def _device(model: Transcriber) -> str:
    import torch

    device = next(model.model.parameters()).device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def _write(folder: Folder, scores: Mapping[str, SetScore], metric: Metric) -> None:
    from steermoe_leaderboard.results import RESULTS, SUMMARY, hub_results, summary

    rule = f"rule {metric.rule.name} {metric.rule.version}" if metric.rule else "no rule"
    folder.write(SUMMARY, summary(folder.about, scores))
    folder.write(RESULTS, hub_results(folder.about, scores, folder.done, rule))


def _report(folder: Folder, scores: Mapping[str, SetScore], args: Namespace, session: Session) -> None:
    from steermoe_leaderboard.results import RESULTS, SUMMARY, mean, rtfx, size

    about, say = folder.about, partial(session.console.print, soft_wrap=True)
    missing = [one.name for one in SETS if one.name not in scores]
    if args.json:
        sets = [{**attrs.asdict(score), **attrs.asdict(folder.done[name])} for name, score in scores.items()]
        facts = {
            **attrs.asdict(about),
            "avg": mean(scores),
            "rtfx": rtfx(scores),
            "sets": sets,
            "missing": missing,
        }
        say(json.dumps(facts, indent=2))
        return
    session.console.print(_table(scores))
    figures = f"mean WER {mean(scores):.2f} %, RTFx {rtfx(scores):.2f}"
    say(f"{about.model}: {figures}, {size(about.parameters)} parameters")
    if left_out := sum(folder.done[name].left_out for name in scores):
        say(f"clips without a reference, left out as the leaderboard does: {left_out}")
    if missing:
        say(f"not scored: {', '.join(missing)}; the mean is of the others")
    say(f"wrote {folder.path / SUMMARY} and {folder.path / RESULTS}")


def _table(scores: Mapping[str, SetScore]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("set", no_wrap=True)
    for heading in ("clips", "hours", "WER %", "95 %", "RTFx"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, one in scores.items():
        ends = "" if one.low is None or one.high is None else f"{one.low:.2f}–{one.high:.2f}"
        hours = one.audio_seconds / _HOUR
        table.add_row(name, f"{one.clips:,}", f"{hours:.2f}", f"{one.wer:.2f}", ends, f"{one.rtfx:.2f}")
    return table
