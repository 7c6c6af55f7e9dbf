"""Whole runs on every kind of source: the same sounds give the same run, whatever they are stored in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from steermoe_core.data.audio.waveform import duration
from tests.rig import metrics, sentence, texts
from tests.sounds import processed_mels, save_to_disk, write_manifest, write_parquet
from tests.tiny import DIGITS, write_wav

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig

TRAIN = '[data.train]\nuse = "folder"\npath = "train"\n'
WIDTH = 1600  # values of a frame of the tiny encoder


def use(rig: Rig, *tables: str) -> None:
    """Train on other sources."""
    found = rig.file.read_text()
    assert TRAIN in found
    rig.file.write_text(found.replace(TRAIN, "".join(f"[[data.train]]\n{table}\n" for table in tables)))


def clips(rig: Rig) -> dict[str, list]:
    """Return the folder's clips as columns."""
    paths = sorted((rig.folder / "train").glob("*.wav"))
    pairs = [{"bytes": path.read_bytes(), "path": path.name} for path in paths]
    return {"audio": pairs, "text": list(DIGITS), "name": [path.name for path in paths]}


def lines(rig: Rig) -> list[dict[str, str]]:
    """Return the folder's clips as lines of a manifest."""
    paths = sorted((rig.folder / "train").glob("*.wav"))
    return [{"audio": str(p), "text": t, "id": p.name} for p, t in zip(paths, DIGITS, strict=True)]


def test_it_does_not_matter_what_sounds_are_stored_in(rig: Rig) -> None:
    """A folder, a manifest, a parquet file and a saved set train alike, to the last digit."""
    whole = rig.file.read_text()
    runs = [rig.run()]
    write_manifest(rig.folder / "m.jsonl", *lines(rig))
    write_parquet(rig.folder / "t.parquet", clips(rig))
    save_to_disk(rig.folder / "set", clips(rig), 2)
    for source, path in (("jsonl", "m.jsonl"), ("parquet", "t.parquet"), ("disk", "set")):
        rig.file.write_text(whole)
        column = "id" if source == "jsonl" else "name"
        use(rig, f'use = "{source}"\npath = "{path}"\nid_column = "{column}"')
        runs.append(rig.run())

    assert len({run.name for run in runs}) == 4
    assert all(metrics(run) == metrics(runs[0]) for run in runs)
    assert all(texts(run) == texts(runs[0]) for run in runs)


@pytest.mark.parametrize("workers", [0, 2])
def test_tables_in_worker_processes(rig: Rig, workers: int) -> None:
    """Processes that load audio open the table themselves."""
    write_parquet(rig.folder / "t.parquet", clips(rig))
    use(rig, 'use = "parquet"\npath = "t.parquet"')

    found = metrics(rig.run(f"train.workers={workers}"))

    assert [line["step"] for line in found] == [1, 2, 3, 4, 5, 6]


def test_stored_features_are_trained_on(rig: Rig) -> None:
    """Log-mels go into the encoder as they are."""
    table = processed_mels(DIGITS, seconds=0.25, bins=WIDTH, frames=30)
    table["input_features"] = [mel / 1e5 for mel in table["input_features"]]
    save_to_disk(rig.folder / "set", table)
    use(rig, 'use = "disk"\npath = "set"')

    assert metrics(rig.run())[-1]["loss"] > 0


def test_features_and_sound_do_not_mix(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Told before a model computes anything."""
    save_to_disk(rig.folder / "set", processed_mels(DIGITS))
    use(rig, 'use = "disk"\npath = "set"', 'use = "folder"\npath = "train"')

    rig.run(expect=1)

    assert "cannot be mixed; take one or the other" in sentence(capsys)


def test_weights_decide_what_is_trained_on(rig: Rig) -> None:
    """Sources of unequal weight are another run; weights by size are the run without weights."""
    use(rig, 'use = "folder"\npath = "train"', 'use = "folder"\npath = "dev"')

    plain, natural, unequal = rig.run(), rig.run("data.weights=[10,4]"), rig.run("data.weights=[1,9]")

    assert metrics(natural) == metrics(plain)
    assert metrics(unequal) != metrics(plain)


def test_a_source_that_the_filters_emptied(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Its weight cannot be kept, and that is said."""
    write_wav(rig.folder / "m.wav", 3.0)
    write_manifest(rig.folder / "m.jsonl", {"audio": "m.wav", "text": "one"})
    use(rig, 'use = "folder"\npath = "train"', 'use = "jsonl"\npath = "m.jsonl"')

    rig.run("data.weights=[1,1]", "data.max_seconds=2.0", expect=1)

    assert sentence(capsys).startswith("no clip is left of source 2 of data.train")


def damage(path: Path) -> None:
    """Replace a sound by one whose header and end are whole, and whose middle is not."""
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000)
    soundfile.write(path, noise, 16_000, format="FLAC")
    content = bytearray(path.read_bytes())
    third = len(content) // 3
    content[third : 2 * third] = bytes(third)
    path.write_bytes(content)
    assert duration(path) == 1.0


@pytest.mark.parametrize("workers", [0, 1])
def test_a_clip_that_cannot_be_decoded_stops_with_its_name(
    rig: Rig, workers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """What only decoding finds out is one sentence, from a worker process too."""
    damage(rig.folder / "train" / "003.wav")

    rig.run(f"train.workers={workers}", expect=1)

    assert "003.wav: cannot be read as audio" in sentence(capsys)


def test_a_decode_finds_it_first(rig: Rig) -> None:
    """With `data.check` it is left out and named; the share of bad clips is kept to."""
    damage(rig.folder / "train" / "003.wav")
    damage(rig.folder / "dev" / "000.wav")

    run = rig.run('data.check="decode"', "data.max_bad=0.1")

    assert json.loads((run / "lock.json").read_text())["data"]["train"]["examples"] == 9
    scores = json.loads((run / "evaluations" / "dev" / "scores.json").read_text())
    assert scores["examples"] == 3
    assert "000.wav: cannot be read as audio" in scores["left_out"]["cannot be read"][0]
    rig.run('data.check="decode"', "data.max_bad=0.05", expect=1)
