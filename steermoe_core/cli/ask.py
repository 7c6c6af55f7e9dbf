"""`steermoe ask RUN FILE… QUESTION`: ask questions about recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.cli.shared.flags import add_model
from steermoe_core.errors import DataError, UsageError
from steermoe_core.system.printing import complain, say, say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from steermoe_core.cli.shared.session import Session


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    add_model(parser)
    parser.add_argument(
        "sounds", nargs="+", metavar="FILE", help="audio files, - for stdin; then the question in quotes"
    )
    parser.add_argument(
        "--question",
        action="append",
        metavar="TEXT",
        help="a question (repeatable); then every other argument is a file",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object for each answer")


def run(args: Namespace, session: Session) -> int:
    """Print the answers about each file as soon as they are complete; a bad file does not stop the others."""
    names, questions = _asked(args)
    from steermoe_core.data.audio.recordings import recording

    sounds = [recording(name) for name in names]
    from steermoe_core.use.transcriber import Transcriber
    from steermoe_core.use.transcript import oneline

    model = Transcriber(args.folder, session.registry, args.device, args.batch_size)
    bad = 0
    for name, found in zip(names, model.answers(sounds, questions), strict=True):
        if isinstance(found, DataError):
            bad += 1
            complain(f"steermoe: {found}")
            continue
        for question, answer in zip(questions, found, strict=True):
            text = oneline(answer.text)
            if args.json:
                facts = {"file": name, "question": question, "answer": text, "stop": answer.stop}
                say_json({**facts, "seconds": answer.end}, indent=None)
            else:
                heads = [name] * (len(names) > 1) + [question] * (len(questions) > 1)
                say(": ".join([*heads, text]))
            if answer.stop == "limit":
                limit = "evaluate.max_new_tokens and tokens_per_second of its run"
                complain(f"{name}: the answer was cut at its limit ({limit})")
    return int(bad > 0)


def _asked(args: Namespace) -> tuple[list[str], list[str]]:
    """Return the files and the questions.

    :raises UsageError: one of the two is missing.
    """
    if args.question:
        return args.sounds, args.question
    *names, question = args.sounds
    if not names or Path(question).is_file():
        missing = "question" if Path(question).is_file() else "sound file"
        msg = f'the {missing} is missing: steermoe ask RUN FILE… "what is heard?"'
        raise UsageError(msg)
    return names, [question]
