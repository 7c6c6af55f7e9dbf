"""Telephone prompts and LibriVox sentences from Debian packages (here: tones in their place)."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from steermoe_pocket import clips, debian, human
from steermoe_pocket.clips import RATE
from steermoe_pocket.text import part

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Tone = Callable[[float, float], np.ndarray]
    Write = Callable[[Path, np.ndarray], None]


def test_a_g722_file_is_decoded(tmp_path: Path, tone: Tone, write_g722: Write) -> None:
    """The tone comes back: its length, its pitch and about its loudness."""
    write_g722(tmp_path / "a.g722", tone(1.0, 440))
    waveform = human.decode(tmp_path / "a.g722")
    assert abs(len(waveform) - RATE) < 0.03 * RATE
    assert abs(np.argmax(np.abs(np.fft.rfft(waveform))) * RATE / len(waveform) - 440) < 3
    assert 0.4 < np.abs(waveform).max() < 0.6


def test_prompts_are_those_with_speech(share: Path) -> None:
    """Tones and transcripts without a file are left out, a sign in brackets is cut off."""
    found = {clip.id: clip.text for clip in human.prompts(share)}
    assert found == {
        "hello": "Hello, World!",
        "digits/1": "one",
        "digits/2": "two",
        "digits/20": "twenty",
        "digits/hundred": "hundred",
        "letters/dash": "dash",
        "conf-menu": "Please press 1 to mute, or 22 to exit.",
    }


def test_prompts_are_decoded_once_and_again_when_the_recordings_change(
    share: Path, cache: Path, tone: Tone, write_g722: Write
) -> None:
    """The cache's folder is named by the content."""
    first = human.prompts(share)
    assert human.prompts(share) == first
    assert len(list((cache / "speech").glob("human-*"))) == 1
    assert (first[0].audio.parent / "metadata.csv").read_text().splitlines()[1].startswith("hello.flac,")
    write_g722(share / "asterisk/sounds/en_US_f_Allison/hello.g722", tone(0.5, 200))
    assert human.prompts(share)[0].seconds > first[0].seconds
    assert len(list((cache / "speech").glob("human-*"))) == 2


def test_an_example_carries_what_the_engine_needs(share: Path) -> None:
    """Normal text, duration, a cluster by what is heard, and the part of its text."""
    menu = human.prompts(share)[-1]
    example = menu.example("written")
    assert example.text == "please press 1 to mute or 22 to exit"
    assert menu.example("spelled").text == example.cluster == "please press one to mute or twenty two to exit"
    assert example.split == part(menu.text)
    assert example.seconds == pytest.approx(soundfile.info(str(example.audio)).duration, abs=1e-3)
    assert clips.load(example.audio).dtype == np.float32


@pytest.mark.parametrize("package", ["asterisk-core-sounds-en-g722", "asterisk-core-sounds-en"])
def test_a_missing_debian_package_is_named(share: Path, package: str) -> None:
    """The message names the package, the file and the command."""
    file = debian.PACKAGES[package]
    (share / file).unlink()
    with pytest.raises(
        debian.SpeechMissingError, match=f"no {share / file}; run as root: apt-get install .* {package}$"
    ):
        human.prompts(share)


def test_other_languages_are_downloaded(cache: Path, share: Path, tone: Tone, write_g722: Write) -> None:
    """Their clips carry their language and an id of their own; Spanish loses its accents.

    A second transcript of a recording is a mistake of the table.
    """
    package = "asterisk-core-sounds-es"
    table = cache / f"debian/{package}/usr/share/doc/{package}/core-sounds-es.txt.gz"
    table.parent.mkdir(parents=True)
    table.write_bytes(
        gzip.compress("conf-menu: Marque 1 después del menú.\nbeep: [tono]\nconf-menu: diez\n".encode())
    )
    sounds = cache / f"debian/{package}-g722/usr/share/asterisk/sounds/es_MX_f_Allison"
    for name in ("conf-menu", "beep"):
        write_g722(sounds / f"{name}.g722", tone(0.3, 300))

    (clip,) = human.prompts(share, "es")

    example = clip.example("spelled")
    assert (example.id, example.text) == ("es/conf-menu", "marque uno despues del menu")
    assert example.labels == {"language": "es"}
    assert human.prompts(share)[0].example("spelled").labels == {"language": "en"}


def test_librivox_sentences_are_for_tests_only(share: Path, tone: Tone) -> None:
    """Whatever their texts are, they belong to the test part."""
    folder = share / "pocketsphinx/test/data/librivox"
    folder.mkdir(parents=True)
    (folder / "transcription").write_text("<s> he was not an ill disposed young man </s> (austen-0880)\n")
    soundfile.write(folder / "austen-0880.wav", tone(0.5, 300), RATE)
    (clip,) = human.librivox(share)
    example = clip.example("written")
    assert (example.id, example.text) == ("austen-0880", "he was not an ill disposed young man")
    assert example.split == "test"
    assert example.seconds == pytest.approx(0.5)
