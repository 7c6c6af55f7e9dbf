"""One model trained in every way that several processes know: `python -m tests.train.stages PLACE DECODER`.

Each process of two runs this; a folder in PLACE for each way has checkpoints and metrics.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steermoe_core.config.experiment import DeepSpeedConfig
from steermoe_core.data.config import FolderConfig
from steermoe_core.data.sources.folder import read_folder
from steermoe_core.run.folder.adapter import identity
from steermoe_core.run.training.watch import FrozenWatch
from steermoe_core.train import ranks, trainer
from tests.parts import TinyConfig, TinyEncoder, joined, steering
from tests.train.conftest import Bench

if TYPE_CHECKING:
    from steermoe_core.model.joined import Joined

#: Of three steps one has a smaller batch in one process than in the other; the clip bites.
SETTINGS: dict[str, Any] = {"steps": 3, "clip": 0.5}
BUDGET: dict[str, Any] = {"batch_size": None, "batch_seconds": 1.5}
WAYS: dict[str, dict[str, Any]] = {
    "without DeepSpeed": {},
    **{f"stage {stage}": {"deepspeed": DeepSpeedConfig(stage=stage)} for stage in (0, 1, 2, 3)},
    "stage 2, offloaded": {"deepspeed": DeepSpeedConfig(stage=2, offload="cpu")},
    "by budget": BUDGET,
    "by budget, stage 2": {**BUDGET, "deepspeed": DeepSpeedConfig(stage=2)},
}


def trained_model(decoder: str) -> Joined:
    """Return a fresh model, with a loss of its adapter's."""
    encoder = TinyEncoder(TinyConfig())
    return joined(decoder, steering(encoder, balance=0.5), encoder=encoder)


def split_everything() -> None:
    """Let ZeRO-3 split the smallest weights too; it would leave tiny models in one piece."""
    generated = trainer.ds_config

    def without_threshold(train: Any) -> Any:
        found = generated(train)
        if found is not None:
            found["zero_optimization"]["stage3_param_persistence_threshold"] = 0
        return found

    trainer.ds_config = without_threshold


def main(place: Path, decoder: str) -> None:
    """Train a fresh model in each way; its frozen parts are compared at the end, as in a run."""
    examples = read_folder(FolderConfig(path=place / "corpus"))
    split_everything()
    with ranks.process_group("cpu"):
        for way, settings in WAYS.items():
            (place / way).mkdir(exist_ok=True)
            model = trained_model(decoder)
            watch = FrozenWatch(identity(model), lambda _: None)
            bench = Bench(decoder, examples, place / way)
            bench.trainer(watch, model=model, **settings, **SETTINGS).train()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
