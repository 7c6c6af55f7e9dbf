"""One process needs no launcher; what a launcher leaves out is told."""

from __future__ import annotations

import os

import pytest
import torch
from torch import distributed

from steermoe_core.errors import DataError, SetupError
from steermoe_core.train import ranks


class TestAlone:
    """A process that nothing launched."""

    def test_is_the_first_of_one(self) -> None:
        """Everything that asks the others answers at once."""
        assert (ranks.rank(), ranks.world(), ranks.first()) == (0, 1, True)
        assert ranks.total(3) == 3
        assert ranks.gathered("a") == ["a"]
        assert ranks.on_rank0(lambda: "b") == "b"
        ranks.barrier()

    def test_decides_with_its_own_errors(self) -> None:
        """They come through as they are."""

        def fail() -> None:
            raise DataError

        with pytest.raises(DataError):
            ranks.on_rank0(fail)

    def test_forms_no_group_unless_asked(self) -> None:
        """DeepSpeed wants one; then the environment is as before."""
        before = dict(os.environ)
        with ranks.process_group("cpu"):
            assert not distributed.is_initialized()
        with ranks.process_group("cpu", even_alone=True):
            assert distributed.get_world_size() == 1
            assert ranks.gathered("a") == ["a"]

        assert not distributed.is_initialized()
        assert {name: os.environ.get(name) for name in ranks.NAMES} == {
            name: before.get(name) for name in ranks.NAMES
        }


class TestLaunched:
    """A process of several."""

    @pytest.fixture(autouse=True)
    def _second_of_two(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in zip(ranks.NAMES, ("1", "2", "1", "127.0.0.1", "29500"), strict=True):
            monkeypatch.setenv(name, value)

    def test_knows_its_place(self) -> None:
        """From what the launcher said."""
        assert (ranks.rank(), ranks.world(), ranks.first()) == (1, 2, False)

    @pytest.mark.parametrize("name", ["LOCAL_RANK", "MASTER_ADDR"])
    def test_says_what_the_launcher_did_not(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """WORLD_SIZE may be left over from something else."""
        monkeypatch.delenv(name)

        with pytest.raises(SetupError, match=f"but {name} is not"), ranks.process_group("cpu"):
            pass

    def test_needs_a_gpu_of_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two processes on one GPU would wait for one another forever."""
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)

        with pytest.raises(SetupError, match="process 1 has no GPU: this machine has 1"):
            ranks.process_group("auto").__enter__()


class TestLoading:
    """Processes that load audio for one that trains."""

    def test_auto_leaves_a_cpu_to_the_training(self) -> None:
        """And gives a GPU's process its share of the cores."""
        cpu, gpu = torch.device("cpu"), torch.device("cuda")

        assert ranks.loading_processes("auto", cpu) == 0
        assert (ranks.loading_processes(3, cpu), ranks.loading_processes(0, gpu)) == (3, 0)

    @pytest.mark.parametrize(("cores", "gpus", "processes", "expected"), [
        (16, 1, 1, 8), (6, 1, 1, 5), (64, 8, 16, 7), (1, 1, 1, 0), (16, 8, 1, 8),
    ])  # fmt: skip
    def test_auto_shares_the_cores_of_a_machine(
        self, monkeypatch: pytest.MonkeyPatch, cores: int, gpus: int, processes: int, expected: int
    ) -> None:
        """One core of each share is the training's."""
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setenv("WORLD_SIZE", str(processes))

        assert ranks.loading_processes("auto", torch.device("cuda")) == expected
