"""Tar shards of sine waves, as tests write them."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from tests.tiny import RATE, sine

if TYPE_CHECKING:
    from pathlib import Path


def sound(seconds: float = 0.3, kind: str = "WAV") -> bytes:
    """Return the content of a sound file."""
    file = io.BytesIO()
    soundfile.write(file, np.asarray(sine(seconds)), RATE, format=kind)
    return file.getvalue()


def tar(**files: bytes | str) -> bytes:
    """Return a tar file with these files, in this order; `__` in a name is a dot."""
    done = io.BytesIO()
    with tarfile.open(fileobj=done, mode="w") as archive:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name.replace("__", "."))
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return done.getvalue()


def write_tar(path: Path, **texts: str) -> Path:
    """Write a shard with a clip for each text; the n-th lasts 0.2 + n/10 seconds."""
    files: dict[str, bytes | str] = {}
    for number, (name, text) in enumerate(texts.items()):
        files |= {f"{name}__wav": sound(0.2 + number / 10), f"{name}__txt": text}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tar(**files))
    return path
