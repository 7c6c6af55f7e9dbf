"""`steermoe data FILE`: summarise the data of an experiment: counts, lengths, exclusions, overlap."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from steermoe_core.cli.shared.flags import add_set, count
from steermoe_core.config.naming import some
from steermoe_core.system.printing import say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator, Sequence

    from steermoe_core.cli.shared.session import Session

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
    return 1 if found["problems"] else 0


def _lines(found: dict[str, Any]) -> Iterator[str]:
    for one in found["sets"]:
        yield from _set(one)
        yield ""
    if found["overlap"]:
        yield "in the training data as well:"
    for one in found["overlap"]:
        counted = {"trained": "clips", "audio": "recordings", "texts": "texts"}
        shared = [_shared(one[key], one["clips"], what) for key, what in counted.items()]
        yield f"  {one['set']}: {', '.join([*shared, _speakers(one)])}"
    yield from (f"problem: {problem}" for problem in found["problems"])


def _set(one: dict[str, Any]) -> Iterator[str]:
    facts = [f"{one['used']:,} of {one['clips']:,} clips are used", f"{one['hours'] * 60:,.1f} minutes"]
    facts += [f"{one['clusters']:,} speakers or groups"] if one["clusters"] else []
    facts += [f"{one['share']:.0%} of an epoch"] if one["share"] else []
    yield f"{one['set']} ({one['use']}): {', '.join(facts)}"
    for reason, names in one["left_out"].items():
        yield f"  {len(names):,} {reason}: {some(names)}"
    for unit in ("seconds", "tokens" if one["tokens"] else "words"):
        yield from _histogram(unit, one[unit])
    for example in one["examples"]:
        seconds = "?" if example["seconds"] is None else f"{example['seconds']:.2f}"
        prompt = f"{_short(example['prompt'])} → " if example["prompt"] else ""
        yield f"  {example['id']} ({seconds} s): {prompt}{_short(example['text'])}"


def _histogram(unit: str, lengths: dict[str, Any] | None) -> Iterator[str]:
    if lengths is None:
        return
    least, middle, most = (f"{lengths[name]:g}" for name in ("least", "median", "most"))
    yield f"  {unit}: {least} to {most}, median {middle}"
    bars = lengths["bars"]
    highest = max(bar["clips"] for bar in bars)
    width = max(len(f"{bar['to']:g}") for bar in bars)
    for bar in bars:
        drawn = "█" * round(_BAR * bar["clips"] / highest) or ("▏" if bar["clips"] else "")
        yield f"    {bar['from']:>{width}g} – {bar['to']:>{width}g}  {drawn:<{_BAR}}  {bar['clips']:,}"


def _shared(names: Sequence[str], total: int, what: str) -> str:
    examples = f" ({some(names)})" if names else ""
    return f"{len(names):,} of {total:,} {what}{examples}"


def _speakers(one: dict[str, Any]) -> str:
    names = one["clusters"]
    return f"{len(names):,} speakers or groups{f' ({some(names)})' if names else ''}"


def _short(text: str) -> str:
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"
