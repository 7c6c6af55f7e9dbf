"""The index of a tar shard, from one pass over it: where each clip's sound is, its length and its texts."""

from __future__ import annotations

import io
import json
import math
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any

import attrs
import pyarrow as pa

from steermoe_core import DataError, EncodedAudio
from steermoe_webdataset.kept import INDEX, kept
from steermoe_webdataset.remote import content, identity, opened

#: Extensions of sound files.
SOUNDS = frozenset({"wav", "flac", "ogg", "opus", "mp3", "m4a"})
#: Those whose header says their length; libsndfile reads most of an Ogg file to find its last page.
_WITH_LENGTH = frozenset({"wav", "flac"})
#: Extensions of texts.
_TEXT, _OBJECT = "txt", "json"

#: Bytes that are fetched with the header and the text of a clip, where sounds are skipped.
_AHEAD = 2**15


@attrs.frozen
class Member(EncodedAudio):
    """A sound file in a shard.

    :param shard: path or URL of the tar file.
    :param name: of the sound file.
    :param start: of its content in the shard, in bytes.
    :param size: of its content, in bytes.
    """

    shard: str
    name: str
    start: int
    size: int

    @property
    def file(self) -> Path:
        return Path(self.shard)

    def content(self) -> bytes:
        return content(self.shard, self.start, self.size)

    def __str__(self) -> str:
        """Return the name and the shard."""
        return f"{self.name} in {self.shard}"


class _Stream(io.BufferedReader):
    """A sound file in an archive that is being read.

    :ivar failure: what a read has raised, which libsndfile would swallow.
    """

    failure: Exception | None = None

    def readinto(self, buffer: Any) -> int:
        try:
            return super().readinto(buffer)
        except Exception as error:  # noqa: BLE001 - every protocol has its own
            self.failure = error
            return 0


@attrs.frozen
class _Sound(EncodedAudio):
    """A sound file in an archive, to be measured."""

    name: str
    data: bytes | _Stream

    @property
    def file(self) -> Path:
        return Path(self.name)

    def content(self) -> bytes | _Stream:
        return self.data

    def __str__(self) -> str:
        return self.name


@attrs.define
class _Clip:
    """What is known of a clip so far."""

    sound: str = ""
    start: int = 0
    size: int = 0
    seconds: float = math.nan
    columns: dict[str, Any] = attrs.field(factory=dict)


def index(shard: str, *, measured: bool) -> pa.Table:
    """Return the clips of a shard, in the order of their first files, from the cache if it is there.

    :param measured: whether lengths are measured; else they are nan, and sounds are not read.
    :raises DataError: the shard cannot be read, or a clip has no sound or several.
    :raises SetupError: the cache cannot be written.
    """
    key = [shard, identity(shard), measured]
    return kept(key, lambda: _table(shard, _clips(shard, measured=measured)))


def member(shard: str, row: dict[str, Any]) -> Member:
    """Return the clip of a row of the index."""
    return Member(shard, row["sound"], row["start"], row["size"])


def _table(shard: str, clips: dict[str, _Clip]) -> pa.Table:
    for name, clip in clips.items():
        if not clip.sound:
            msg = f"{name} in {shard} has no sound file ({', '.join(sorted(SOUNDS))})"
            raise DataError(msg)
    if not clips:
        msg = f"{shard}: there is no clip in it"
        raise DataError(msg)
    rows = [
        {**attrs.asdict(clip, recurse=False), "clip": name, "columns": json.dumps(clip.columns)}
        for name, clip in clips.items()
    ]
    return pa.Table.from_pylist(rows, INDEX)


def _clips(shard: str, *, measured: bool) -> dict[str, _Clip]:
    """Return the clips of a tar file by name."""
    clips: dict[str, _Clip] = {}
    try:
        with (
            opened(shard, None if measured else _AHEAD) as file,
            tarfile.open(fileobj=file, mode="r:") as archive,
        ):
            for member in archive:
                name, _, extension = PurePosixPath(member.name).name.partition(".")
                if not member.isfile() or not name:  # a folder, or a hidden file
                    continue
                clip = clips.setdefault(str(PurePosixPath(member.name).with_name(name)), _Clip())
                kind = extension.rpartition(".")[2].lower()
                if kind in SOUNDS:
                    _take_sound(clip, member, shard, archive if measured else None)
                elif kind in (_TEXT, _OBJECT):
                    clip.columns |= _columns(extension, _read(archive, member), f"{member.name} in {shard}")
                archive.members.clear()  # type: ignore[attr-defined] # or they would fill the memory
    except tarfile.TarError as error:
        msg = f"{shard}: cannot be read as a tar file that is not compressed ({error})"
        raise DataError(msg) from None
    return clips


def _take_sound(clip: _Clip, member: tarfile.TarInfo, shard: str, archive: tarfile.TarFile | None) -> None:
    """Note where a sound is, and how long, unless there is no archive to read it from."""
    if clip.sound:
        msg = f"{clip.sound} and {member.name} in {shard} are one clip; a clip has one sound file"
        raise DataError(msg)
    clip.sound, clip.start, clip.size = member.name, member.offset_data, member.size
    if archive:
        clip.seconds = _seconds(archive, member)


def _seconds(archive: tarfile.TarFile, member: tarfile.TarInfo) -> float:
    """Return the length of a sound; nan where it cannot be read, which the run counts."""
    file = archive.extractfile(member)
    if file is None or PurePosixPath(member.name).suffix[1:].lower() not in _WITH_LENGTH:
        return _measured(_Sound(member.name, _read(archive, member)))
    stream = _Stream(file)  # type: ignore[arg-type] # it reads as a raw file does
    found = _measured(_Sound(member.name, stream))
    if stream.failure:
        raise stream.failure
    return found


def _measured(sound: _Sound) -> float:
    try:
        return sound.seconds()
    except DataError:
        return math.nan


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file else b""


def _columns(extension: str, data: bytes, place: str) -> dict[str, Any]:
    """Return the columns that a text file gives.

    :raises DataError: it is no UTF-8, or no JSON object.
    """
    try:
        text = data.decode()
        found = {extension: " ".join(text.split())} if extension.endswith(_TEXT) else json.loads(text)
    except ValueError as error:
        msg = f"{place}: cannot be read ({error})"
        raise DataError(msg) from None
    if not isinstance(found, dict):
        msg = f'{place}: must hold a JSON object, such as {{"text": "…"}}'
        raise DataError(msg)
    return found
