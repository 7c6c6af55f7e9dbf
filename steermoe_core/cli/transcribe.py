"""`steermoe transcribe RUN FILE…`: transcribe recordings of any length to text, JSON or subtitles."""

from __future__ import annotations

import json
import sys
from collections import Counter
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.cli.shared.flags import add_model, commas, seconds
from steermoe_core.cli.shared.recordings import named
from steermoe_core.errors import DataError, UsageError
from steermoe_core.system.printing import complain, safe_json, say

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Iterator, Sequence

    from steermoe_core.cli.shared.recordings import Named
    from steermoe_core.cli.shared.session import Session
    from steermoe_core.data.audio.recordings import Recording
    from steermoe_core.use.transcribed import Transcribed
    from steermoe_core.use.transcript import Transcript

#: Seconds of audio from which progress is shown.
_LONG = 60.0


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    add_model(parser)
    text = "audio files of any length, folders of them, patterns such as 'talks/**/*.mp3', - for stdin"
    parser.add_argument("sounds", nargs="+", metavar="FILE", help=text)
    parser.add_argument(
        "--prompt", metavar="TEXT", help="prompt for each recording, instead of the experiment's"
    )
    parser.add_argument(
        "--segment",
        type=seconds,
        metavar="SECONDS",
        help="longest segment; recordings are cut at pauses (default: only recordings longer than the "
        "encoder's limit are cut, by the settings of the run)",
    )
    parser.add_argument(
        "--vad",
        action="store_true",
        help="detect speech: write nothing where there is none, and cut in its pauses (extra vad)",
    )
    parser.add_argument(
        "--hotwords",
        type=commas,
        default=[],
        metavar="WORD,WORD",
        help="words that may occur, put into the prompt; they replace only words that sound like them",
    )
    parser.add_argument("--words", action="store_true", help="find the times of words")
    parser.add_argument(
        "--highlight-words", action="store_true", help="underline each word of a subtitle while it is said"
    )
    form = parser.add_mutually_exclusive_group()
    for name, text in (
        ("json", "print a JSON object for each file: text, seconds, segments with their times"),
        ("srt", "write SubRip subtitles, one for each segment"),
        ("vtt", "write WebVTT subtitles, one for each segment"),
    ):
        form.add_argument(
            f"--{name}", dest="form", action="store_const", const=name, default="txt", help=text
        )
    parser.add_argument(
        "--output",
        "--out",
        type=Path,
        metavar="DIR",
        help="write a file for each recording to this folder instead of stdout; recordings that have one by "
        "the same model and options are skipped",
    )


def run(args: Namespace, session: Session) -> int:
    """Print each transcript as soon as it is complete; an unusable file does not stop the others."""
    asked = named(args.sounds)
    _check_forms(args, len(asked))
    folder = _folder(args, asked, session) if args.output else None
    todo = asked if folder is None else [one for one in asked if not folder.has(_place(args, one), one.path)]
    if len(todo) < len(asked):
        complain(f"{len(asked) - len(todo)} of {len(asked)} recordings are in {args.output} already")
    if not todo:
        return 0
    from steermoe_core.data.audio.recordings import recording

    sounds = [recording(one.name) for one in todo]
    from steermoe_core.use.transcriber import Transcriber

    model = Transcriber(args.folder, session.registry, args.device, args.batch_size)
    bad = []
    with _shown(sounds) as (say, progressed):
        options = {name: getattr(args, name) for name in ("hotwords", "vad", "words")}
        found = model.transcripts(sounds, args.prompt, longest=args.segment, progressed=progressed, **options)
        for one, transcript in zip(todo, found, strict=True):
            if isinstance(transcript, DataError):
                bad.append(one.name)
                complain(f"steermoe: {transcript}")
                continue
            if all(segment.stop == "silence" for segment in transcript.segments):
                holds = "contains no speech" if args.vad else "contains only silence"
                complain(f"{one.name}: {holds}, so there is no text")
            if folder:
                folder.write(_place(args, one), one.path, _written(transcript, args))
            else:
                say(_printed(one.name, transcript, args, alone=len(asked) == 1))
    if bad and len(asked) > 1:
        complain(f"{len(bad)} of {len(asked)} recordings have no transcript: {', '.join(bad)}")
    return int(bool(bad))


def _check_forms(args: Namespace, recordings: int) -> None:
    """Refuse flags that this form of output has no place for, and complete those that need another.

    :raises UsageError: with what to change.
    """
    if args.highlight_words and args.form not in {"srt", "vtt"}:
        msg = "--highlight-words needs --srt or --vtt"
        raise UsageError(msg)
    if args.words and args.form == "txt":
        msg = "--words needs a form that has times: --json, --srt or --vtt"
        raise UsageError(msg)
    if args.form in {"srt", "vtt"} and recordings > 1 and not args.output:
        msg = f"subtitles of {recordings} files need a folder: --output DIR"
        raise UsageError(msg)
    args.words = args.words or args.highlight_words


def _folder(args: Namespace, asked: Sequence[Named], session: Session) -> Transcribed:
    """Return the folder for results.

    :raises UsageError: two results have the same name, or the folder cannot be created.
    """
    from steermoe_core.run.folder.hub import adapter_folder
    from steermoe_core.use.transcribed import Transcribed

    places = Counter(_place(args, one) for one in asked)
    if twice := [place for place, count in places.items() if count > 1]:
        place = args.output / twice[0]
        msg = f"--output: two of the files would be written to {place}; transcribe them in two calls"
        raise UsageError(msg)
    try:
        args.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"--output: the folder {args.output} cannot be created ({error.strerror})"
        raise UsageError(msg) from None
    decisive = ("prompt", "segment", "vad", "hotwords", "words", "highlight_words")
    options = {name: getattr(args, name) for name in decisive}
    return Transcribed(args.output, adapter_folder(args.folder, session.registry), options)


def _place(args: Namespace, one: Named) -> str:
    return f"{one.place.as_posix()}.{args.form}"


def _written(transcript: Transcript, args: Namespace) -> str:
    if args.form == "json":
        return json.dumps(transcript.as_json(), ensure_ascii=False) + "\n"
    if args.form == "txt":
        return f"{transcript.text}\n"
    return {"srt": transcript.srt, "vtt": transcript.vtt}[args.form](highlight=args.highlight_words)


def _printed(name: str, transcript: Transcript, args: Namespace, *, alone: bool) -> str:
    """Return the output for stdout, without the last line break; plain text is one line."""
    if args.form == "json":
        return safe_json(json.dumps({"file": name, **transcript.as_json()}, ensure_ascii=False))
    if args.form == "txt":
        from steermoe_core.use.transcript import oneline

        text = oneline(transcript.text)
        return text if alone else f"{name}: {text}"
    return _written(transcript, args).removesuffix("\n")


@contextmanager
def _shown(
    sounds: Sequence[Recording],
) -> Iterator[tuple[Callable[[str], None], Callable[[float], None]]]:
    """Give a function that prints a result, and one that counts finished seconds.

    Long work shows a bar on stderr; if stdout is the same terminal, results are printed above it.
    """
    from steermoe_core.run.console import Console

    total, out = sum(sound.seconds() or 0.0 for sound in sounds), sys.stdout
    if total < _LONG:
        yield partial(say, file=out), lambda _: None
        return
    with Console().progress() as progress:
        bar = progress.add_task("transcribing", total=round(total), note="seconds of audio")

        def say_above(text: str) -> None:
            if progress.live.is_started and out.isatty():
                progress.console.print(text, soft_wrap=True)
            else:
                say(text, file=out)

        yield say_above, lambda done: progress.advance(bar, done)
