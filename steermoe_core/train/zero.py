"""Training under DeepSpeed: groups clipped before its step, small checkpoints, weights gathered."""

from __future__ import annotations

import gc
import logging
import warnings
from contextlib import contextmanager, redirect_stdout
from functools import _lru_cache_wrapper
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from steermoe_core.errors import SetupError
from steermoe_core.train import ranks
from steermoe_core.train.callbacks import GroupClip
from steermoe_core.train.checkpoint import TRAINED, load_trained, restoring
from steermoe_core.train.deepspeed import splits_weights
from steermoe_core.train.groups import trainable_groups
from steermoe_core.train.trainer import SteeringTrainer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steermoe_core.config.experiment import TrainConfig
    from steermoe_core.model.joined import Joined


# Our records have no tensors that DeepSpeed would look for; what is trained is kept whole instead.
logging.getLogger("DeepSpeed").addFilter(
    lambda record: "A module has unknown inputs or outputs type" not in record.getMessage()
)

# transformers counts the forward passes of a step by itself, and tells accelerate that there is one.
logging.getLogger("accelerate.accelerator").addFilter(
    lambda record: "Gradient accumulation steps mismatch" not in record.getMessage()
)

#: Stands among the modules that use a parameter right now, so that it is not split.
USER = -1


class ZeroTrainer(SteeringTrainer):
    """A `SteeringTrainer` whose model and optimizer are split over the processes by DeepSpeed.

    :raises SetupError: DeepSpeed cannot split this model.
    """

    optimizer: Any  # DeepSpeed's, once training has begun
    lr_scheduler: Any

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        if splits_weights(self.config):
            _check_splittable(self.joined)
        self.pop_callback(GroupClip)  # it comes too late here: accelerate steps right after `backward`
        # The parent leaves the device to DeepSpeed, which comes after `prepare`.
        if splits_weights(self.config):  # what `prepare` computes with; all else waits to be split
            self.joined.encoder.to(self.args.device)
            self.joined.adapter.to(self.args.device)
        else:
            self.joined.to(self.args.device)
        # Only some batches may begin alike, and at stage 3 every process has to make the same calls.
        self.joined.prefixed = not splits_weights(self.config)

    def train(self, *given: Any, **named: Any) -> Any:
        """Train as the parent does, and leave no trace of it in transformers and DeepSpeed."""
        from transformers.integrations.deepspeed import unset_hf_deepspeed_config

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # names that torch gives up, DeepSpeed not yet
                # DeepSpeed imports distutils, then setuptools, to see what it can compile.
                warnings.filterwarnings("ignore", "(Distutils was|Setuptools is replacing)", UserWarning)
                trained = super().train(*given, **named)
            _release(self.deepspeed)
            return trained
        finally:
            unset_hf_deepspeed_config()  # or transformers splits every model that is loaded from now on

    def _prepare_for_training(
        self, max_steps: int, train_dataloader: Any, resume_from_checkpoint: str | None
    ) -> Any:
        """Wrap model and optimizer; a resume sets the weights before they are split."""
        if resume_from_checkpoint is not None:
            load_trained(self.joined, Path(resume_from_checkpoint) / TRAINED)
        self.joined.projector.to(self.args.device)
        ranks.make_alike(p for p in self.joined.parameters() if p.requires_grad)
        if splits_weights(self.config):
            self._split()
        # DeepSpeed praises its build on stdout, which belongs to results.
        with redirect_stdout(StringIO()), _no_broadcast():
            prepared = super()._prepare_for_training(  # type: ignore[no-untyped-call]
                max_steps, train_dataloader, None
            )
        if resume_from_checkpoint is not None:
            self._load_optimizer_and_scheduler(resume_from_checkpoint)
        self._wrap_step(self.model_wrapped)
        keep_whole(self.joined)
        return prepared

    def _split(self) -> None:
        """Split the weights over the processes, one tensor after the other: no device ever holds them all."""
        from deepspeed import zero

        with redirect_stdout(StringIO()):
            zero.Init(module=self.joined, config_dict_or_path=self.args.deepspeed)
        self.joined.to(self.args.device)  # buffers: of a weight, nothing but its share is left

    def _wrap_step(self, engine: Any) -> None:
        """Let the engine's step begin with our clipping: accelerate calls it right after `backward`."""
        step, groups = engine.step, trainable_groups(self.joined)

        def clipped_step() -> None:
            gradients = {name: [full_gradient(p) for p in group] for name, group in groups.items()}
            there = {name: [g for g in found if g is not None] for name, found in gradients.items()}
            self.clip.clip(there, self.optimizer, self.state.global_step + 1)
            for name, group in groups.items():
                for parameter, gradient in zip(group, gradients[name], strict=True):
                    set_full_gradient(parameter, gradient)
            step()
            keep_whole(self.joined)

        engine.step = clipped_step

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        """Write this rank's share of the optimizer's state; rank 0 adds the schedule."""
        torch.save(self._shares(), _share(output_dir))
        if ranks.first():
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / "scheduler.pt")

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        with restoring(checkpoint):
            states = torch.load(_share(checkpoint), map_location="cpu", weights_only=True)
            for tensor, state in zip(_held(self.model_wrapped.optimizer), states, strict=True):
                _base(self.model_wrapped.optimizer).state[tensor] = {
                    key: value if key == "step" else value.to(tensor.device) for key, value in state.items()
                }
            schedule = torch.load(Path(checkpoint) / "scheduler.pt", weights_only=True)
            self.lr_scheduler.load_state_dict(schedule)
        rates = self.lr_scheduler.get_last_lr()
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate  # what torch's optimizer would find in its own state

    def _shares(self) -> list[dict[str, torch.Tensor]]:
        optimizer = self.model_wrapped.optimizer
        return [_base(optimizer).state[tensor] for tensor in _held(optimizer)]


def trainer_class(config: TrainConfig) -> type[SteeringTrainer]:
    """Return the trainer for a `[train]` table: with DeepSpeed where it has that table, else without."""
    return SteeringTrainer if config.deepspeed is None else ZeroTrainer


def keep_whole(model: Joined) -> None:
    """Keep trained parameters in one piece where ZeRO-3 would split them between uses: a collective.

    They are megabytes, and adapters use them outside the module calls that ZeRO-3 puts them together for.
    """
    split = [p for p in model.parameters() if p.requires_grad and hasattr(p, "ds_id")]
    if split:
        split[0].all_gather(split)  # type: ignore[attr-defined]
    for parameter in split:
        parameter.ds_active_sub_modules.add(USER)  # type: ignore[attr-defined]


def _release(engine: Any) -> None:
    """Let go of a model whose training is over; DeepSpeed would keep it until the process ends."""
    from deepspeed.runtime.zero import parameter_offload, partitioned_param_coordinator

    engine.destroy()  # its hooks
    parameter_offload.FWD_MODULE_STACK.clear()
    for found in gc.get_objects():  # its cache is a private method's, behind a decorator
        # `type`, not `isinstance`: that asks the object, and some warn when they are asked.
        if type(found) is _lru_cache_wrapper and found.__module__ == partitioned_param_coordinator.__name__:
            found.cache_clear()


def full_gradient(parameter: torch.nn.Parameter) -> torch.Tensor | None:
    """Return a parameter's gradient, put together and averaged over all processes: a collective."""
    from deepspeed.utils import safe_get_full_grad

    gradient: torch.Tensor | None = safe_get_full_grad(parameter)
    return gradient


def set_full_gradient(parameter: torch.nn.Parameter, gradient: torch.Tensor | None) -> None:
    """Replace a parameter's gradient, of which each process keeps its share."""
    from deepspeed.utils import safe_set_full_grad

    if gradient is None:
        return
    if hasattr(parameter, "ds_id"):  # shares of one size are cut off it, past its end (DeepSpeed 0.19)
        gradient = torch.nn.functional.pad(gradient.flatten(), (0, -gradient.numel() % ranks.world()))
    safe_set_full_grad(parameter, gradient)


def _check_splittable(model: Joined) -> None:
    if single := [name for name, parameter in model.named_parameters() if parameter.ndim == 0]:
        msg = f"at stage 3 DeepSpeed cannot split {single[0]}, a number without dimensions; use stage 2"
        raise SetupError(msg)


@contextmanager
def _no_broadcast() -> Iterator[None]:
    """Keep DeepSpeed from sending the whole model to everybody.

    Every process has read the frozen part, and DeepSpeed 0.19 fails on a number without dimensions.
    """
    from deepspeed.runtime.engine import DeepSpeedEngine

    broadcast = DeepSpeedEngine._broadcast_model  # noqa: SLF001 - there is no setting for it
    DeepSpeedEngine._broadcast_model = lambda _: None  # noqa: SLF001
    try:
        yield
    finally:
        DeepSpeedEngine._broadcast_model = broadcast  # noqa: SLF001


def _base(optimizer: Any) -> torch.optim.Optimizer:
    """Return torch's optimizer inside DeepSpeed's."""
    found: torch.optim.Optimizer = getattr(optimizer, "optimizer", optimizer)
    return found


def _held(optimizer: Any) -> list[torch.Tensor]:
    """Return the tensors that this rank's optimizer steps: flat shares of groups, or at stage 0 all."""
    for name in ("single_partition_of_fp32_groups", "fp32_partitioned_groups_flat"):  # stages 1 and 2; 3
        if hasattr(optimizer, name):
            return list(getattr(optimizer, name))
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _share(folder: str) -> Path:
    return Path(folder) / f"optimizer_{ranks.rank()}.pt"
