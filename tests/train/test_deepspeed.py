"""The DeepSpeed config comes of the experiment alone; trained in two processes, the adapter is the same."""

from __future__ import annotations

import gc
import json
import os
import socket
import subprocess
import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file

from steermoe_core.config.experiment import DeepSpeedConfig, TrainConfig
from steermoe_core.errors import SetupError
from steermoe_core.model.config import SoftCtcConfig
from steermoe_core.model.soft_ctc import SoftCtcProjector
from steermoe_core.run.folder.adapter import identity
from steermoe_core.train import deepspeed, ranks
from steermoe_core.train.checkpoint import TRAINED
from steermoe_core.train.deepspeed import ds_config
from steermoe_core.train.journal import Journal
from steermoe_core.train.trainer import SteeringTrainer
from steermoe_core.train.zero import ZeroTrainer, _check_splittable, trainer_class
from tests.parts import decoder, joined
from tests.tiny import write_folder
from tests.train import stages

if TYPE_CHECKING:
    from tests.train.conftest import Bench

ROOT = Path(__file__).parents[2]


def config_of(stage: int = 2, offload: str = "none", **train: Any) -> dict[str, Any]:
    """Return the DeepSpeed config of an experiment."""
    settings = DeepSpeedConfig(stage=stage, offload=offload)
    return ds_config(TrainConfig(steps=1, deepspeed=settings, **train))


class TestConfig:
    """What is written for DeepSpeed."""

    def test_there_is_none_without_the_table(self) -> None:
        """And the plain trainer is taken."""
        plain = TrainConfig(steps=1)

        assert ds_config(plain) is None
        assert trainer_class(plain) is SteeringTrainer
        assert trainer_class(TrainConfig(steps=1, deepspeed=DeepSpeedConfig())) is ZeroTrainer

    def test_says_what_the_experiment_says(self) -> None:
        """Stage, batch and accumulation; nothing is clipped by DeepSpeed, which knows no groups."""
        found = config_of(stage=3, batch_size=5, accumulation=7, clip=0.1)

        assert found["zero_optimization"]["stage"] == 3
        assert found["train_micro_batch_size_per_gpu"] == 5
        assert config_of(batch_seconds=60.0)["train_micro_batch_size_per_gpu"] == 1
        assert found["gradient_accumulation_steps"] == 7
        assert found["gradient_clipping"] == 0.0

    @pytest.mark.parametrize(("precision", "enabled"), [("fp32", False), ("bf16", True)])
    def test_bf16_is_an_autocast(self, precision: str, enabled: object) -> None:
        """Trained parameters and their gradients stay fp32, as they do without DeepSpeed."""
        found = config_of(precision=precision)

        assert found["torch_autocast"]["enabled"] is enabled
        assert found["torch_autocast"]["lower_precision_safe_modules"] == []
        assert not {"bf16", "fp16"} & set(found)

    @pytest.mark.parametrize(
        ("stage", "offloaded"), [(2, {"offload_optimizer"}), (3, {"offload_optimizer", "offload_param"})]
    )
    def test_offload(self, stage: int, offloaded: set[str]) -> None:
        """The optimizer's state goes to the machine's memory, at stage 3 weights as well."""
        found = config_of(stage=stage, offload="cpu")["zero_optimization"]

        assert {key for key in found if key.startswith("offload")} == offloaded
        assert all(found[key] == {"device": "cpu"} for key in offloaded)
        assert not any(key.startswith("offload") for key in config_of(stage=stage)["zero_optimization"])

    def test_missing_deepspeed_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """With what to install."""
        monkeypatch.setattr(deepspeed, "find_spec", lambda _: None)

        with pytest.raises(SetupError, match=r"pip install steermoe\[deepspeed\]"):
            deepspeed.check_installed()


def test_a_number_without_dimensions_cannot_be_split(decoder_folder: str) -> None:
    """DeepSpeed would end in the middle of its own code."""
    projector = SoftCtcProjector(SoftCtcConfig(), 12, decoder(decoder_folder))
    model = joined(decoder_folder, projector=projector)
    _check_splittable(model)

    projector.factor = torch.nn.Parameter(torch.tensor(1.0))

    with pytest.raises(SetupError, match=r"cannot split projector\.factor, .*use stage 2"):
        _check_splittable(model)


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("default")  # of what DeepSpeed imports
class TestOneProcess:
    """Trainings that follow one another, each in a group of its own."""

    @pytest.mark.parametrize("stage", [0, 2, 3])
    def test_leaves_nothing_in_memory(self, bench: Bench, stage: int) -> None:
        """Neither the model nor one of its weights: what is built next needs the room."""

        def trained(name: str) -> list[weakref.ref[Any]]:
            model = joined(bench.decoder_folder)
            with ranks.process_group("cpu", even_alone=True):
                there = bench.elsewhere(name)
                there.trainer(model=model, steps=2, deepspeed=DeepSpeedConfig(stage=stage)).train()
            return [weakref.ref(model), *map(weakref.ref, model.parameters())]

        for name in ("first", "second"):
            alive = trained(name)
            gc.collect()
            assert not any(one() is not None for one in alive)

    def test_moves_no_whole_model_at_stage_3(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """Weights of the decoder go to the device one by one, each to be split at once; embeddings stay."""
        model = joined(bench.decoder_folder)
        table = model.decoder.embeddings.numel()
        decoder = {id(p): p.numel() for p in model.decoder.parameters()}
        moved: list[int] = []
        move = torch.nn.Module.to

        def spy(module: torch.nn.Module, *given: Any, **named: Any) -> torch.nn.Module:
            moved.append(sum(p.numel() for p in module.parameters() if id(p) in decoder))
            return move(module, *given, **named)

        monkeypatch.setattr(torch.nn.Module, "to", spy)
        with ranks.process_group("cpu", even_alone=True):
            bench.trainer(model=model, steps=1, deepspeed=DeepSpeedConfig(stage=3)).train()

        assert moved
        assert max(moved) == table
        assert all(hasattr(p, "ds_id") for p in model.parameters())


def two_processes(module: str, *words: str) -> None:
    """Run a module of the tests in two processes of one group."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    shared["MALLOC_MMAP_THRESHOLD_"] = str(2**20)  # large tensors are returned to Linux when they are freed
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", module, *words],
            env={**os.environ, **shared, "RANK": rank, "LOCAL_RANK": rank, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    said = [process.communicate(timeout=240)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said


@pytest.fixture(scope="module")
def together(decoder_folder: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the place where two processes trained in every way."""
    place = tmp_path_factory.mktemp("together")
    write_folder(place / "corpus")
    two_processes("tests.train.stages", str(place), decoder_folder)
    return place


@pytest.fixture
def alone(bench: Bench, way: str) -> Bench:
    """Return a bench where one process trained on the same batches."""
    model = stages.trained_model(bench.decoder_folder)
    bench.trainer(
        model=model, **{**stages.SETTINGS, **stages.WAYS[way], "deepspeed": None, "accumulation": 2}
    ).train()
    return bench


@pytest.mark.timeout(600)
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured on Linux")
def test_no_process_holds_the_whole_decoder(decoder_folder: str, tmp_path: Path) -> None:
    """Each of two holds its half and what one file has; the frozen part is the one on disk."""
    large = save_large(decoder_folder, tmp_path / "large")
    whole = sum(file.stat().st_size for file in large.glob("*.safetensors")) / 1e6

    two_processes("tests.train.loading", str(tmp_path), decoder_folder, str(large))

    frozen = identity(joined(str(large), dtype="bfloat16"))["decoder"]
    for rank in (0, 1):
        found = json.loads((tmp_path / f"rank-{rank}.json").read_text(encoding="utf-8"))
        assert found["identity"] == frozen
        assert 0.4 * whole < found["megabytes"] < 0.7 * whole


def save_large(like: str, folder: Path) -> Path:
    """Write a random decoder of 150 MB in bf16 with the tokenizer of another, in files of 10 MB."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    config = AutoConfig.from_pretrained(like)
    config.update({"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 6})
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="10MB")
    AutoTokenizer.from_pretrained(like).save_pretrained(folder)
    return folder


@pytest.mark.timeout(600)  # two processes on a loaded machine
class TestTwoProcesses:
    """Two processes are one that accumulates twice as often."""

    @pytest.mark.parametrize("way", stages.WAYS)
    def test_train_the_same_adapter(self, together: Path, alone: Bench, way: str) -> None:
        """The file has the same tensors; where frozen weights are not split, the same bytes."""
        ours, theirs = (
            place / "checkpoints" / f"step-{stages.SETTINGS['steps']}" / TRAINED
            for place in (alone.place, together / way)
        )

        first, second = load_file(ours), load_file(theirs)
        assert {name: tensor.shape for name, tensor in first.items()} == {
            name: tensor.shape for name, tensor in second.items()
        }
        for name, tensor in first.items():
            torch.testing.assert_close(second[name], tensor, rtol=0, atol=1e-6, msg=name)
        if not way.startswith("stage 3"):  # weights that are put together lie elsewhere: maps round otherwise
            assert theirs.read_bytes() == ours.read_bytes()

    @pytest.mark.parametrize("way", stages.WAYS)
    def test_report_the_same_steps(self, together: Path, alone: Bench, way: str) -> None:
        """Losses, rates and the norms of each group before clipping, which bites."""
        ours = list(alone.journal.read())
        theirs = list(Journal(together / way / "metrics.jsonl").read())

        assert [line.step for line in theirs] == [line.step for line in ours]
        assert any(max(line.gradient_norm.values()) > stages.SETTINGS["clip"] for line in ours)
        for one, other in zip(ours, theirs, strict=True):
            assert other.loss == pytest.approx(one.loss, abs=1e-5)
            assert other.losses == {"balance": pytest.approx(one.losses["balance"], abs=1e-5)}
            assert other.learning_rate == one.learning_rate
            assert other.gradient_norm == pytest.approx(one.gradient_norm, rel=1e-5)
