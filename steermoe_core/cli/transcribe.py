"""`steermoe transcribe RUN FILE…`: transcribe recordings of any length to text, JSON or subtitles."""

from __future__ import annotations

import json
import sys
from collections import Counter
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.cli.shared.flags import add_model, seconds
from steermoe_core.errors import DataError, UsageError
from steermoe_core.system.printing import complain, safe_json, say

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Iterator, Sequence

    from steermoe_core.cli.shared.session import Session
    from steermoe_core.data.audio.recordings import Recording
    from steermoe_core.use.transcript import Transcript

#: Seconds of audio from which progress is shown.
_LONG = 60.0


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    add_model(parser)
    parser.add_argument("sounds", nargs="+", metavar="FILE", help="audio files of any length, - for stdin")
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
        type=Path,
        metavar="DIR",
        help="write a file for each recording to this folder instead of stdout",
    )


def run(args: Namespace, session: Session) -> int:
    """Print each transcript as soon as it is complete; an unusable file does not stop the others."""
    _check_places(args)
    from steermoe_core.data.audio.recordings import recording

    sounds = [recording(name) for name in args.sounds]
    from steermoe_core.run.folder.run_folder import write_text
    from steermoe_core.use.transcriber import Transcriber

    model = Transcriber(args.folder, session.registry, args.device, args.batch_size)
    bad = 0
    with _shown(sounds) as (say, progressed):
        found = model.transcripts(sounds, args.prompt, longest=args.segment, progressed=progressed)
        for sound, transcript in zip(sounds, found, strict=True):
            if isinstance(transcript, DataError):
                bad += 1
                complain(f"steermoe: {transcript}")
                continue
            if all(segment.stop == "silence" for segment in transcript.segments):
                complain(f"{sound.name}: contains only silence, so there is no text")
            if args.output:
                text = _written(transcript, args.form)
                write_text(_place(args, sound.name), text, "choose another --output folder")
            else:
                say(_printed(sound.name, transcript, args))
    return int(bad > 0)


def _check_places(args: Namespace) -> None:
    """Reject flags that would write two results to one file, or read stdin twice.

    :raises UsageError: with what to change.
    """
    if args.sounds.count("-") > 1:
        msg = "stdin can be read once: give - once"
        raise UsageError(msg)
    if args.form in {"srt", "vtt"} and len(args.sounds) > 1 and not args.output:
        msg = f"subtitles of {len(args.sounds)} files need a folder: --output DIR"
        raise UsageError(msg)
    if args.output:
        places = Counter(_place(args, name) for name in args.sounds)
        if twice := [place for place, count in places.items() if count > 1]:
            msg = f"--output: two of the files would be written to {twice[0]}; transcribe them in two calls"
            raise UsageError(msg)
        try:
            args.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"--output: the folder {args.output} cannot be created ({error.strerror})"
            raise UsageError(msg) from None


def _place(args: Namespace, name: str) -> Path:
    stem = "stdin" if name == "-" else Path(name).stem
    return Path(args.output / f"{stem}.{args.form}")


def _written(transcript: Transcript, form: str) -> str:
    if form == "json":
        return json.dumps(transcript.as_json(), ensure_ascii=False) + "\n"
    return {"srt": transcript.srt, "vtt": transcript.vtt}[form]() if form != "txt" else f"{transcript.text}\n"


def _printed(name: str, transcript: Transcript, args: Namespace) -> str:
    """Return the output for stdout, without the last line break; plain text is one line."""
    if args.form == "json":
        return safe_json(json.dumps({"file": name, **transcript.as_json()}, ensure_ascii=False))
    if args.form == "txt":
        from steermoe_core.use.transcript import oneline

        text = oneline(transcript.text)
        return f"{name}: {text}" if len(args.sounds) > 1 else text
    return _written(transcript, args.form).removesuffix("\n")


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
