"""Damaged experiments: the same seed and number make the same case on every machine."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import attrs

from tests.config.corpus import corpus
from tests.config.damages import DAMAGES, STRANGE, nasty

KEYS = [
    "train.steps", "train.learning_rate.projector", "encoder.weights", "experiment.name",
    "data.max_seconds", "adapter", "metrics.0.use", "metrics.1", "data.train.path", "data.train.0.path",
    "projector.pool.kernel", "train", "experiment", "data.eval.dev", "nothing", "train.nothing", "extends",
    "sweep", 'data.eval."a.b"', "decoder.weights", "callbacks.0",
]  # fmt: skip


@attrs.frozen
class Case:
    """One damaged experiment.

    :param files: the files by name; the experiment itself is the first.
    :param flags: of `--set`.
    :param damages: what was done.
    """

    files: dict[str, bytes]
    flags: list[str]
    damages: list[str]


def case(seed: int, number: int) -> Case:
    """Return one case; always the same for the same seed and number."""
    chance = random.Random(f"{seed} {number}")
    files = {name: text.encode() for name, text in chance.choice(corpus()).items()}
    flags: list[str] = []
    damages = []
    if chance.random() < 0.1:
        damages.append("flag")
        flags = [_flag(chance) for _ in range(chance.randint(1, 3))]
    else:
        for _ in range(chance.choice([1, 1, 1, 2, 3])):
            name = chance.choice(list(files)) if chance.random() < 0.2 else "experiment.toml"
            damage = chance.choice(DAMAGES)
            damages.append(damage.__name__)
            files[name] = damage(chance, files[name])
    return Case(files, flags, damages)


def _flag(chance: random.Random) -> str:
    key = chance.choice(KEYS)
    if chance.random() < 0.3:
        odd = [
            chance.choice(STRANGE),
            "a" + ".a" * 900,
            "metrics." + "9" * 5000,
            "metrics.²",
            "metrics.١",
            "metrics.-1",
        ]
        key = chance.choice(odd)
    ways = [nasty, nasty, lambda chance: f"{chance.choice(STRANGE)}x", lambda _: "\udcff"]
    return f"{key}{chance.choice(['=', '=', '=', ' = ', ''])}{chance.choice(ways)(chance)}"


def write(one: Case, folder: Path) -> Path:
    """Write the files of a case, and those that damaged files may extend; return the experiment."""
    shutil.rmtree(folder, ignore_errors=True)
    home = folder / "here"
    for name, raw in one.files.items():
        path = Path(os.path.normpath(home / name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    (home / "folder").mkdir()
    (home / "loop.toml").symlink_to("loop.toml")
    (home / "folder" / "link.toml").symlink_to("../experiment.toml")
    (home / "latin.toml").write_bytes("a = 1\nb = 'é'\n".encode("latin-1"))
    (home / "wide.toml").write_bytes("[train]\nsteps = 1\n".encode("utf-16"))
    (home / "bad.toml").write_bytes(b"[train]\nsteps = 1 2\n")
    os.mkfifo(home / "pipe")
    return home / "experiment.toml"
