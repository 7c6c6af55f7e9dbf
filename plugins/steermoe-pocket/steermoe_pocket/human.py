"""Human speech: the telephone prompts of Asterisk in three languages, and five sentences of LibriVox.

Debian carries them: `asterisk-core-sounds-en-g722` with `asterisk-core-sounds-en` (transcripts; CC-BY-SA-3.0;
one speaker a language), the same for `es` and `fr`, and `pocketsphinx-testdata`. The prompts are decoded
once, into FLAC files in the cache.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from typing import TYPE_CHECKING

import attrs
import av
import numpy as np

from steermoe_core import cache_folder
from steermoe_core.data.audio.waveform import duration
from steermoe_core.data.split import normalise_text
from steermoe_pocket import cache, clips, debian
from steermoe_pocket.progress import working
from steermoe_pocket.text import unaccented

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_VERSION = 1
#: Language → folder of its recordings.
_SOUNDS = {"en": "en_US_f_Allison", "es": "es_MX_f_Allison", "fr": "fr_CA_f_June"}
_LIBRIVOX = "pocketsphinx/test/data/librivox"
#: "dash [-]": a word and the sign that it stands for.
_SIGN = re.compile(r" \[.\]$")
#: Tones, silence, and transcripts with a note in brackets beside (or instead of) what is said.
_UNUSABLE = re.compile(r"[\[<(]")


def prompts(share: Path, language: str = "en") -> list[clips.Clip]:
    """Return the telephone prompts, decoded now if the cache has none.

    :param share: where the Debian packages of the English ones are unpacked (`/usr/share`).
    :param language: "en", "es" or "fr".
    :raises SpeechMissingError: when the packages of the English ones are not installed.
    :raises SetupError: when those of another language cannot be downloaded.
    """
    listed = list(_listed(*_places(share, language)))
    name = "human" if language == "en" else f"human-{language}"
    folder = cache_folder() / "speech" / f"{name}-{_key(listed)}"
    found = clips.read(cache.made_once(folder, lambda made: _decode(made, listed)))
    return found if language == "en" else [_foreign(clip, language) for clip in found]


def librivox(share: Path) -> list[clips.Clip]:
    """Return the LibriVox sentences, as they lie in the package (16 kHz).

    :raises SpeechMissingError: when the package is not installed.
    """
    debian.require(share, "pocketsphinx-testdata")
    folder = share / _LIBRIVOX
    lines = (folder / "transcription").read_text("utf-8").splitlines()
    matches = [re.match(r"<s> (.+) </s> \((\S+)\)", line) for line in lines]
    return [_sentence(folder, match) for match in matches if match]


def decode(path: Path) -> NDArray[np.float32]:
    """Return the waveform (samples,) of a .g722 file at 16 kHz."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=clips.RATE)
    with av.open(str(path), format="g722") as container:
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.float32)


def _sentence(folder: Path, match: re.Match[str]) -> clips.Clip:
    text, name = match.groups()
    audio = folder / f"{name}.wav"
    return clips.Clip(name, audio, text, duration(audio), part="test")


def _foreign(clip: clips.Clip, language: str) -> clips.Clip:
    """Return a clip with its language; few of the Spanish transcripts have accents, and none keeps them."""
    text = unaccented(clip.text) if language == "es" else clip.text
    return attrs.evolve(clip, id=f"{language}/{clip.id}", text=text, language=language)


def _places(share: Path, language: str) -> tuple[Path, Path]:
    """Return the table of transcripts and the folder of recordings of a language."""
    package = f"asterisk-core-sounds-{language}"
    if language == "en":
        debian.require(share, f"{package}-g722", package)
        written = spoken = share
    else:
        written, spoken = (debian.unpacked(name) / "usr/share" for name in (package, f"{package}-g722"))
    table = written / f"doc/{package}/core-sounds-{language}.txt.gz"
    return table, spoken / "asterisk/sounds" / _SOUNDS[language]


def _listed(table: Path, sounds: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield id, transcript (the first, where a table has two) and file of every prompt with usable speech."""
    seen: set[str] = set()
    for line in gzip.decompress(table.read_bytes()).decode("utf-8").splitlines():
        name, separator, transcript = line.strip().partition(": ")
        text = _SIGN.sub("", transcript)
        path = sounds / f"{name}.g722"
        usable = separator and not line.startswith(";") and not _UNUSABLE.search(text)
        if usable and normalise_text(text) and path.is_file() and name not in seen:
            seen.add(name)
            yield name, text, path


def _key(listed: list[tuple[str, str, Path]]) -> str:
    digest = hashlib.sha256(str(_VERSION).encode())
    for name, text, path in listed:
        digest.update(f"\0{name}\0{text}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _decode(folder: Path, listed: list[tuple[str, str, Path]]) -> None:
    with working(f"decoding {len(listed)} telephone prompts"):
        clips.write(folder, ((name, text, decode(path)) for name, text, path in listed))
