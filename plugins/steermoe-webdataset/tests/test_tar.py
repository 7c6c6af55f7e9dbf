"""The index of a shard: made once, of the right bytes, again when the shard changes."""

from __future__ import annotations

import gzip
import io
import json
import math
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from fsspec.implementations.local import LocalFileSystem

from steermoe_core import DataError, SetupError
from steermoe_webdataset import tar as module
from steermoe_webdataset.tar import Member, index
from tests.tars import sound, tar, write_tar
from tests.tiny import RATE

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("own_cache")


def rows(shard: Path, *, measured: bool = True) -> list[dict[str, object]]:
    """Return the rows of the index of a shard."""
    found: list[dict[str, object]] = index(str(shard), measured=measured).to_pylist()
    return found


def noise(seconds: float, kind: str = "WAV") -> bytes:
    """Return a sound file that no format makes small."""
    file = io.BytesIO()
    wave = np.random.default_rng(0).normal(0.0, 0.1, round(seconds * RATE))
    soundfile.write(file, wave, RATE, format=kind)
    return file.getvalue()


def watched(monkeypatch: pytest.MonkeyPatch, fails: float = math.inf) -> list[int]:
    """Note the bytes of every read of a shard; one from beyond the byte `fails` fails."""
    taken: list[int] = []

    class Watched(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > fails:
                raise OSError("gone")  # noqa: EM101
            data = super().read(-1 if size is None else size)
            taken.append(len(data))
            return data

    monkeypatch.setattr(LocalFileSystem, "open", lambda _, path, *__, **___: Watched(path))
    return taken


class TestIndex:
    """What stands in it."""

    def test_clips_are_files_of_one_name(self, tmp_path: Path) -> None:
        """Up to the first dot, in any order of files; folders, hidden and other files are none."""
        wave, other = sound(0.3), sound(0.2, "FLAC")
        files = {
            "x/a__wav": wave, "./x/b__txt": " two\nthree ", "x/a__json": '{"text": "one", "speaker": 7}',
            "x/b__mic1__flac": other, "x/b__de__txt": "zwei", "__hidden__wav": b"", "x/a__png": b"",
        }  # fmt: skip
        shard = tmp_path / "a.tar"
        shard.write_bytes(tar(**files))

        one, two = rows(shard)

        assert (one["clip"], two["clip"]) == ("x/a", "x/b")
        assert json.loads(one["columns"]) == {"text": "one", "speaker": 7}
        assert json.loads(two["columns"]) == {"txt": "two three", "de.txt": "zwei"}
        assert (one["seconds"], two["seconds"]) == pytest.approx((0.3, 0.2))
        assert Member(str(shard), one["sound"], one["start"], one["size"]).content() == wave
        assert Member(str(shard), two["sound"], two["start"], two["size"]).content() == other

    def test_without_lengths_no_sound_is_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Only the texts are."""
        read, asked = module._read, []
        monkeypatch.setattr(module, "_read", lambda *of: asked.append(of[1].name) or read(*of))

        (row,) = rows(write_tar(tmp_path / "a.tar", one="two"), measured=False)

        assert math.isnan(row["seconds"])
        assert asked == ["one.txt"]

    @pytest.mark.parametrize(("kind", "extension"), [("WAV", "wav"), ("FLAC", "flac")])
    def test_a_length_is_read_from_the_header(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, extension: str
    ) -> None:
        """And from the end, which may be missing; what lies between is not read."""
        shard = tmp_path / "a.tar"
        shard.write_bytes(tar(**{f"a__{extension}": noise(30.0, kind), "a__txt": "one"}))
        taken = watched(monkeypatch)

        (row,) = rows(shard)

        assert row["seconds"] == 30.0
        assert sum(taken) < shard.stat().st_size / 10

    def test_a_failure_in_a_sound_is_no_damaged_sound(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """A connection that breaks ends the index, instead of a clip in it."""
        shard = tmp_path / "a.tar"
        shard.write_bytes(tar(a__wav=noise(30.0), a__txt="one"))
        watched(monkeypatch, fails=100_000)

        with pytest.raises(DataError, match=r"a.tar: cannot be read \(gone\)"):
            rows(shard)
        assert not capfd.readouterr().err

    def test_a_sound_that_is_damaged_has_no_length(self, tmp_path: Path) -> None:
        """The run counts it."""
        (tmp_path / "a.tar").write_bytes(tar(a__wav=b"nothing", a__txt="one"))

        assert math.isnan(rows(tmp_path / "a.tar")[0]["seconds"])

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (tar(a__txt="one"), "a in .*a.tar has no sound file"),
            (tar(a__wav=sound(), a__flac=sound()), "a.wav and a.flac in .*a.tar are one clip"),
            (tar(a__wav=sound(), a__json="[1]"), "a.json in .*a.tar: must hold a JSON object"),
            (tar(a__wav=sound(), a__json="{"), "a.json in .*a.tar: cannot be read"),
            (tar(a__wav=sound(), a__txt=b"\xff"), "a.txt in .*a.tar: cannot be read"),
            (tar(), "a.tar: there is no clip in it"),
            (b"nothing at all", "a.tar: cannot be read as a tar file that is not compressed"),
            (
                gzip.compress(tar(a__wav=sound())),
                "a.tar: cannot be read as a tar file that is not compressed",
            ),
            (tar(a__wav=sound())[:2000], "a.tar: cannot be read as a tar file that is not compressed"),
        ],
    )
    def test_a_shard_that_is_wrong_is_named(self, tmp_path: Path, content: bytes, sentence: str) -> None:
        """With what is wrong."""
        (tmp_path / "a.tar").write_bytes(content)

        with pytest.raises(DataError, match=sentence):
            rows(tmp_path / "a.tar")


class TestCache:
    """Where it is kept."""

    def test_a_shard_is_read_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """And again when it has changed."""
        shard = write_tar(tmp_path / "a.tar", one="two")
        first = rows(shard)
        monkeypatch.setattr(module, "_clips", None)
        assert rows(shard) == first
        monkeypatch.undo()
        os.environ["STEERMOE_CACHE"] = str(tmp_path / "cache")

        write_tar(shard, one="three", two="four")

        assert [row["clip"] for row in rows(shard)] == ["one", "two"]

    def test_a_cache_that_cannot_be_written_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With the way out."""
        (tmp_path / "file").touch()
        monkeypatch.setenv("STEERMOE_CACHE", str(tmp_path / "file"))

        with pytest.raises(SetupError, match=r"was not saved .* set STEERMOE_CACHE to another folder"):
            rows(write_tar(tmp_path / "a.tar", one="two"))
