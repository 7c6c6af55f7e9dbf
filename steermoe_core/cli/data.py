"""`steermoe data FILE`: summarise the data of an experiment: counts, lengths, exclusions, overlap."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.cli.shared.flags import add_set, count
from steermoe_core.config.naming import some
from steermoe_core.system.printing import say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from steermoe_core.cli.shared.session import Session
    from steermoe_core.run.preview.data import Lengths, Overview, Set
    from steermoe_core.run.preview.overlap import Overlap

#: Characters of a text in a line, and of the longest bar.
_LETTERS, _BAR = 60, 30


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("file", type=Path, metavar="FILE", help="an experiment file")
    add_set(parser)
    parser.add_argument(
        "--examples", type=count, default=3, metavar="N", help="clips shown of each set (default 3)"
    )
    parser.add_argument("--decode", action="store_true", help="decode every clip, not only its header")
    parser.add_argument("--json", action="store_true", help="print JSON with all names and lengths")


def run(args: Namespace, session: Session) -> int:
    """Print the facts; the exit code is 1 if a run would reject the data."""
    from steermoe_core.config.resolve import resolve

    resolved = resolve(args.file, args.set, session.registry)
    from steermoe_core.run.assembly.parts import placed
    from steermoe_core.run.console import Console
    from steermoe_core.run.preview.data import overview

    console = Console()
    with console.warnings(), placed(resolved.experiment, resolved.path, resolved.origins):
        found = overview(resolved, session.registry, console, examples=args.examples, decode=args.decode)
    if args.json:
        say_json(found)
    else:
        for line in _lines(found):
            session.console.print(line, soft_wrap=True)
    return 1 if found.problems else 0


def _lines(found: Overview) -> Iterator[str]:
    for one in found.sets:
        yield from _set(one)
        yield ""
    if found.overlap:
        yield "in the training data as well:"
    for name, overlap in found.overlap.items():
        yield f"  {name}: {', '.join(_shared(overlap))}"
    yield from (f"problem: {problem}" for problem in found.problems)


def _set(one: Set) -> Iterator[str]:
    facts = [f"{one.used:,} of {one.clips:,} clips are used", f"{one.hours * 60:,.1f} minutes"]
    facts += [f"{one.clusters:,} speakers or groups"] if one.clusters else []
    facts += [f"{one.share:.0%} of an epoch"] if one.share else []
    yield f"{one.set} ({one.use}): {', '.join(facts)}"
    for reason, names in one.left_out.items():
        yield f"  {len(names):,} {reason}: {some(names)}"
    yield from _histogram("seconds", one.seconds)
    yield from _histogram("tokens", one.tokens) if one.tokens else _histogram("words", one.words)
    for example in one.examples:
        seconds = "?" if example.seconds is None else f"{example.seconds:.2f}"
        prompt = f"{_short(example.prompt)} → " if example.prompt else ""
        yield f"  {example.id} ({seconds} s): {prompt}{_short(example.text)}"


def _histogram(unit: str, lengths: Lengths | None) -> Iterator[str]:
    if lengths is None:
        return
    yield f"  {unit}: {lengths.least:g} to {lengths.most:g}, median {lengths.median:g}"
    highest = max(bar.clips for bar in lengths.bars)
    width = max(len(f"{bar.high:g}") for bar in lengths.bars)
    for bar in lengths.bars:
        drawn = "█" * round(_BAR * bar.clips / highest) or ("▏" if bar.clips else "")
        yield f"    {bar.low:>{width}g} – {bar.high:>{width}g}  {drawn:<{_BAR}}  {bar.clips:,}"


def _shared(one: Overlap) -> Iterator[str]:
    """Yield how many clips, recordings, texts and speakers are in the training data, too."""
    for names, what in (
        (one.trained, f"of {one.clips:,} clips"),
        (one.audio, f"of {one.clips:,} recordings"),
        (one.texts, f"of {one.clips:,} texts"),
        (one.clusters, "speakers or groups"),
    ):
        yield f"{len(names):,} {what}{f' ({some(names)})' if names else ''}"


def _short(text: str) -> str:
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"
