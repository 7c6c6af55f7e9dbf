"""Shards: what was appended is read back, by any process, whatever happened to the one that wrote it."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
from typing import TYPE_CHECKING

import pytest
import torch

from steermoe_core.data.audio.shards import Shards, ShardWriter
from steermoe_core.errors import CheckpointError, DataError

if TYPE_CHECKING:
    from pathlib import Path

DTYPES = [torch.float32, torch.bfloat16]
RECORD = 56


def values(seed: int, rows: int = 3, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return random values (rows,4)."""
    return torch.randn(rows, 4, generator=torch.Generator().manual_seed(seed)).to(dtype)


def write(folder: Path, *clips: str, limit: int = 2**30) -> None:
    """Append a clip for each name, all with the values of the name's last digit."""
    with ShardWriter(folder, limit) as writer:
        for clip in clips:
            writer.add([(clip, values(int(clip[-1])), 3)])


def stored(folder: Path, clips: str, dtype: torch.dtype = torch.float32) -> list[bool]:
    """Return whether each clip is stored; a name is one character."""
    found: list[bool] = (Shards(folder, dtype).numbers(clips) >= 0).tolist()
    return found


def read(folder: Path, clip: str, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return the values of a clip."""
    shards = Shards(folder, dtype)
    return shards.stored(int(shards.numbers([clip])[0])).read()


def endless(folder: Path, ready: object) -> None:
    """Append clips until killed."""
    with ShardWriter(folder) as writer:
        for number in range(10**9):
            writer.add([(f"{os.getpid()}-{number}", values(number % 7, 500), 500)])
            if number == 20:
                ready.release()


class TestShards:
    """Writing and reading."""

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_values_come_back(self, tmp_path: Path, dtype: torch.dtype) -> None:
        """In any shape, with the number of rows that are real; other clips are not there."""
        with ShardWriter(tmp_path / "shards") as writer:
            writer.add([("a", values(1, 5, dtype), 5), ("b", values(2, 9, dtype), 7)])
            writer.add([("c", values(3, 1, dtype), 1)])

        shards = Shards(tmp_path / "shards", dtype)

        assert stored(tmp_path / "shards", "abcd", dtype) == [True, True, True, False]
        found = [shards.stored(number) for number in shards.numbers("cab")]
        assert [(one.rows, one.width, one.length) for one in found] == [(1, 4, 1), (5, 4, 5), (9, 4, 7)]
        assert found[2].read().equal(values(2, 9, dtype))

    def test_nothing_stored_is_no_folder(self, tmp_path: Path) -> None:
        """A writer that is given nothing leaves nothing."""
        write(tmp_path / "shards")

        assert not (tmp_path / "shards").exists()
        assert stored(tmp_path / "shards", "a") == [False]

    def test_a_shard_ends_where_it_is_full(self, tmp_path: Path) -> None:
        """The next clip begins another one."""
        write(tmp_path, *"1234567", limit=100)

        assert sorted(file.stat().st_size for file in tmp_path.glob("*.frames")) == [48, 144, 144]
        assert all(read(tmp_path, clip).equal(values(int(clip))) for clip in "1234567")

    def test_a_clip_that_two_wrote_is_read_once(self, tmp_path: Path) -> None:
        """Both wrote the same."""
        write(tmp_path, "1", "2")
        write(tmp_path, "2", "3")

        assert sorted(Shards(tmp_path, torch.float32).numbers("123")) == [0, 1, 2]
        assert read(tmp_path, "2").equal(values(2))


class TestInterrupted:
    """What a process leaves that does not end as it should."""

    @pytest.mark.parametrize("cut", [1, 30, RECORD - 1])
    def test_a_record_that_is_cut_off_is_ignored(self, tmp_path: Path, cut: int) -> None:
        """The clips before it are there; the next writer has a shard of its own."""
        write(tmp_path, "1", "2")
        (index,) = tmp_path.glob("*.index")
        os.truncate(index, 2 * RECORD - cut)

        assert stored(tmp_path, "12") == [True, False]
        write(tmp_path, "2")
        assert all(read(tmp_path, clip).equal(values(int(clip))) for clip in "12")

    @pytest.mark.parametrize("left", [0, 40, 95])
    def test_values_that_are_cut_off_are_ignored(self, tmp_path: Path, left: int) -> None:
        """The clips that are whole are there."""
        write(tmp_path, "1", "2")
        (shard,) = tmp_path.glob("*.frames")
        os.truncate(shard, left)

        assert stored(tmp_path, "12") == [left > 48, False]

    def test_an_index_without_its_shard_is_ignored(self, tmp_path: Path) -> None:
        """As if the clips had never been stored."""
        write(tmp_path, "1")
        next(tmp_path.glob("*.frames")).unlink()

        assert stored(tmp_path, "1") == [False]

    @pytest.mark.parametrize("harm", ["gone", "changed", "shorter"])
    def test_damage_is_found_when_a_clip_is_read(self, tmp_path: Path, harm: str) -> None:
        """The shard is named."""
        write(tmp_path, "1")
        shards = Shards(tmp_path, torch.float32)
        (shard,) = tmp_path.glob("*.frames")
        if harm == "gone":
            shard.unlink()
        else:
            shard.write_bytes(bytes(48 if harm == "changed" else 10))

        with pytest.raises(DataError, match=shard.name):
            shards.stored(0).read()

    def test_two_processes_that_are_killed_while_they_write(self, tmp_path: Path) -> None:
        """Whatever has a record is whole."""
        context = multiprocessing.get_context("fork")
        ready = context.Semaphore(0)
        writers = [context.Process(target=endless, args=(tmp_path, ready)) for _ in range(2)]
        for writer in writers:
            writer.start()
        for _ in writers:
            assert ready.acquire(timeout=60)
        for writer in writers:
            os.kill(writer.pid, signal.SIGKILL)
            writer.join()

        shards = Shards(tmp_path, torch.float32)
        clips = [f"{writer.pid}-{number}" for writer in writers for number in range(21)]
        assert (shards.numbers(clips) >= 0).all()
        for number in shards.numbers(clips):
            assert len(shards.stored(number).read()) == 500

    def test_a_disk_without_room_is_one_sentence(self, tmp_path: Path) -> None:
        """What is not saved, why, and what to do; what was stored before is there."""
        write(tmp_path, "1")
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10**5, before[1]))
        try:
            with pytest.raises(CheckpointError, match=r"was not saved .* set STEERMOE_CACHE to"):
                large(tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

        assert stored(tmp_path, "123") == [True, True, False]


def large(folder: Path) -> None:
    """Append a small clip and one of 160 kB."""
    with ShardWriter(folder) as writer:
        writer.add([("2", values(2), 3)])
        writer.add([("3", values(3, 10**4), 10**4)])
