"""`python -m steermoe_pocket`: prepare the pocket lab ahead, so that the first experiment starts at once."""

# ruff: noqa: T201  # printing is what the command does

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

from steermoe_core import SteermoeError, cache_folder
from steermoe_pocket import debian
from steermoe_pocket.config import SpeechConfig, WeightsConfig

if TYPE_CHECKING:
    from collections.abc import Callable


def main(argv: list[str] | None = None) -> int:
    """Prepare models and speech, say what there is, and return an exit code."""
    wanted = _arguments(argv)
    print(f"the pocket lab in {cache_folder()}")
    try:
        if wanted.apt:
            _install_speech()
        _prepare_models()
        _prepare_speech(wanted)
        _prepare_scenes()
    except SteermoeError as error:
        print(f"steermoe_pocket: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    defaults = SpeechConfig()
    parser = argparse.ArgumentParser(prog="python -m steermoe_pocket", description=__doc__)
    parser.add_argument(
        "--apt",
        action="store_true",
        help="install the Debian packages with human speech, as root",
    )
    parser.add_argument(
        "--hours",
        type=float,
        default=defaults.hours,
        help="of speech by one synthetic voice, and of speech by several (%(default)s)",
    )
    parser.add_argument("--seed", type=int, default=defaults.seed, help="of the sentences (%(default)s)")
    parser.add_argument("--processes", type=int, help="that synthesise (2)")
    return parser.parse_args(argv)


def _install_speech() -> None:
    reason = debian.install()
    if reason:
        print(f"  human speech     not installed: {reason}; go on without")


def _prepare_models() -> None:
    from steermoe_pocket import smollm2, whisper  # seconds to import

    settings = WeightsConfig()
    _timed("Whisper tiny.en", lambda: whisper.whisper_tiny_en(settings).name)
    _timed("Whisper base", lambda: whisper.whisper_base(settings).name)
    _timed("SmolLM2 135M", lambda: smollm2.smollm2_135m_instruct(settings).name)


def _prepare_speech(wanted: argparse.Namespace) -> None:
    from steermoe_pocket import clips, human, synthetic
    from steermoe_pocket.speech import stand_in
    from steermoe_pocket.voices import source

    def described(found: list[clips.Clip]) -> str:
        return f"{len(found)} clips, {sum(clip.seconds for clip in found) / 3600:.2f} hours"

    if debian.missing():
        print(f"  human speech     missing ({', '.join(debian.missing())}); synthetic speech stands in")
    else:
        _timed("human speech", lambda: described(human.prompts(debian.SHARE)))
    _timed(
        "synthetic speech",
        lambda: described(synthetic.recordings(wanted.hours, wanted.seed, wanted.processes)),
    )
    voices = SpeechConfig(source="voices", hours=wanted.hours, seed=wanted.seed)
    try:
        made = partial(source.recordings, voices.voices, voices.split, voices.hours, voices.seed)
        _timed("several voices", lambda: described(made(wanted.processes)))
    except debian.SpeechMissingError as error:
        print(f"  several voices   missing ({error}); synthetic speech stands in")
        _timed("stand-in", lambda: described(stand_in(voices, wanted.processes)))


def _prepare_scenes() -> None:
    from steermoe_pocket.scenes import config, folder

    clips = sum(folder.SIZES.values())
    _timed("sound scenes", lambda: f"{clips} clips in {folder.folder(config.ScenesConfig().seed).name}")


def _timed(name: str, make: Callable[[], str]) -> None:
    start = time.perf_counter()
    made = make()
    print(f"  {name:<16} {made} ({time.perf_counter() - start:.1f} s)")


if __name__ == "__main__":
    sys.exit(main())
