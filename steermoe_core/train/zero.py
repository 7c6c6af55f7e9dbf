"""The training step under DeepSpeed: groups clipped before its step, small checkpoints, weights gathered.

[Training](../../docs/explanation/training.md) says why DeepSpeed is patched where it is.
"""

from __future__ import annotations

import gc
import logging
import os
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
from steermoe_core.train.checkpoint import SCHEDULER, TRAINED, load_trained
from steermoe_core.train.deepspeed import ds_config, splits_weights
from steermoe_core.train.groups import trainable_groups
from steermoe_core.train.trainer import SteeringTrainer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steermoe_core.config.experiment import TrainConfig
    from steermoe_core.model.joined import Joined


# DeepSpeed looks for tensors in a module's arguments to split weights by; a batch is a record, and trained
# parameters stay gathered, so that nothing is lost.
logging.getLogger("DeepSpeed").addFilter(
    lambda record: "A module has unknown inputs or outputs type" not in record.getMessage()
)

# transformers counts the batches of a step itself and gives accelerate a count of one.
logging.getLogger("accelerate.accelerator").addFilter(
    lambda record: "Gradient accumulation steps mismatch" not in record.getMessage()
)

#: The id of a module that always uses a parameter, so that ZeRO-3 never splits it again.
ALWAYS = -1


class ZeroTrainer(SteeringTrainer):
    """A `SteeringTrainer` whose model and optimizer are split over the processes by DeepSpeed.

    :raises SetupError: DeepSpeed cannot split this model.
    """

    model_wrapped: Any  # DeepSpeed's engine, once training has begun

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pop_callback(GroupClip)  # `backward` clips: after it, DeepSpeed has taken the step
        if splits_weights(self.config):
            split_decoder(self.joined, self.config)  # unless the run has
            # Every process has to make the same calls: a prefix cache and the parts of the loss depend on the
            # batch.
            self.joined.prefixed, self.joined.most_logits = False, 0
        # The parent leaves the move to DeepSpeed, but `prepare` computes before that.
        self.joined.to(self.args.device)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train as the parent does, then reset the global state of transformers and DeepSpeed."""
        from transformers.integrations.deepspeed import unset_hf_deepspeed_config

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # DeepSpeed uses names that torch deprecates
                # DeepSpeed imports distutils, then setuptools, to find out what it can compile.
                warnings.filterwarnings("ignore", "(Distutils was|Setuptools is replacing)", UserWarning)
                result = super().train(*args, **kwargs)
            _release(self.deepspeed)
            return result
        finally:
            os.environ.pop("ACCELERATE_USE_DEEPSPEED", None)  # or the next trainer would use DeepSpeed too
            unset_hf_deepspeed_config()  # or transformers would split every model it loads from now on

    def backward(self, loss: torch.Tensor) -> None:
        """Add the gradients of a loss; after the last batch of a step, clip each group and take the step."""
        engine, last = self.model_wrapped, self.accelerator.sync_gradients
        engine.set_gradient_accumulation_boundary(is_boundary=last)
        engine.backward(loss, scale_wrt_gas=False)  # the loss is a share of the step's already
        if last:
            self._clip_groups()
            engine.step()
            gather_trained(self.joined)

    def _clip_groups(self) -> None:
        """Clip the gradients that DeepSpeed holds in flat buffers: of each process a share."""
        groups = trainable_groups(self.joined)
        gradients = {name: [full_gradient(p) for p in group] for name, group in groups.items()}
        present = {name: [g for g in group if g is not None] for name, group in gradients.items()}
        self.clip.clip(present, self.optimizer, self.state.global_step + 1)  # in place
        for name, group in groups.items():
            for parameter, gradient in zip(group, gradients[name], strict=True):
                set_full_gradient(parameter, gradient)

    def _prepare_for_training(
        self, max_steps: int, train_dataloader: Any, resume_from_checkpoint: str | None
    ) -> Any:
        """Wrap model and optimizer; a resume loads the weights before they are split."""
        if resume_from_checkpoint is not None:
            load_trained(self.joined, Path(resume_from_checkpoint) / TRAINED)
        ranks.broadcast(p for p in self.joined.parameters() if p.requires_grad)
        if splits_weights(self.config):
            split(self.joined, self.config)
            release(self.joined.decoder.embeddings)
        # DeepSpeed prints its build report on stdout, which is for results.
        with redirect_stdout(StringIO()), _no_broadcast():
            # Without the checkpoint: the parent would look for one in DeepSpeed's format.
            prepared = super()._prepare_for_training(  # type: ignore[no-untyped-call]
                max_steps, train_dataloader, None
            )
        _unlink_shared_memory()
        self._load_optimizer_and_scheduler(resume_from_checkpoint)
        gather_trained(self.joined)
        return prepared

    def save_optimizer(self, folder: Path) -> None:
        """Write this process's share of the optimizer's state; rank 0 adds the schedule."""
        optimizer = self.model_wrapped.optimizer
        states = [_inner(optimizer).state[tensor] for tensor in _stepped(optimizer)]
        torch.save(states, _share(folder))
        if ranks.first():
            torch.save(self.lr_scheduler.state_dict(), folder / SCHEDULER)

    def load_optimizer(self, folder: Path) -> None:
        """Read this process's share of the optimizer's state, and the schedule."""
        optimizer = self.model_wrapped.optimizer
        states = torch.load(_share(folder), map_location="cpu", weights_only=True)
        for tensor, state in zip(_stepped(optimizer), states, strict=True):
            _inner(optimizer).state[tensor] = {
                key: value if key == "step" else value.to(tensor.device) for key, value in state.items()
            }
        self.lr_scheduler.load_state_dict(torch.load(folder / SCHEDULER, weights_only=True))
        rates = self.lr_scheduler.get_last_lr()
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate  # torch's optimizer would find it in its own state


def trainer_class(config: TrainConfig) -> type[SteeringTrainer]:
    """Return the trainer of a `[train]` table: `ZeroTrainer` if it has a table `deepspeed`."""
    return SteeringTrainer if config.deepspeed is None else ZeroTrainer


def split_decoder(model: Joined, config: TrainConfig) -> None:
    """Split the decoder over the processes, except the embeddings that other parts are prepared from.

    :raises SetupError: DeepSpeed cannot split this model.
    """
    _check_splittable(model)
    split(model.decoder, config)
    table: Any = model.decoder.embeddings
    if hasattr(table, "ds_id"):
        table.all_gather()


def split(module: torch.nn.Module, config: TrainConfig) -> None:
    """Split the weights of a module that are not split yet: a collective.

    Weights are mapped from their file if it has their type. One tensor after the other is copied to the
    device, and all but this process's share is dropped: neither device nor host ever holds the module.
    """
    from deepspeed import zero
    from deepspeed.accelerator import get_accelerator

    device, settings = get_accelerator().current_device_name(), ds_config(config)
    for part in module.modules():
        own = [p for p in part.parameters(recurse=False) if not hasattr(p, "ds_id")]
        for parameter in own:  # a copy: DeepSpeed writes to it, and pages of a map would become memory
            parameter.data = parameter.data.to(device, copy=True)
        if own:
            with redirect_stdout(StringIO()):  # stdout is for results
                zero.Init(module=torch.nn.ParameterList(own), config_dict_or_path=settings)


def release(table: Any) -> None:
    """Leave this process's share of embeddings (V,H) that `split_decoder` has kept."""
    if hasattr(table, "ds_id"):
        table.partition()


def gather_trained(model: Joined) -> None:
    """Gather the trained parameters, which ZeRO-3 would split between uses: a collective.

    They are megabytes, and adapters use them outside the module calls for which ZeRO-3 gathers them.
    """
    split = [p for p in model.parameters() if p.requires_grad and hasattr(p, "ds_id")]
    if split:
        split[0].all_gather(split)  # type: ignore[attr-defined]
    for parameter in split:
        parameter.ds_active_sub_modules.add(ALWAYS)  # type: ignore[attr-defined]


def _unlink_shared_memory() -> None:
    """Remove the name of the memory in which other processes on this machine read this one's tensors.

    DeepSpeed leaves it: 66 MB of RAM a CPU process, until the machine restarts. Here every process has mapped
    the others' memory, which therefore exists until the last of them ends, however it ends.
    """
    ranks.barrier()
    own = [os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"], os.environ["RANK"]]
    name = "_".join(["deepspeed_allreduce_buffer", str(os.getuid()), *own])
    (Path("/dev/shm") / name).unlink(missing_ok=True)  # noqa: S108 - where shm_open puts it


def _release(engine: Any) -> None:
    """Free a trained model, which DeepSpeed would reference until the process ends."""
    from deepspeed.runtime.zero import parameter_offload, partitioned_param_coordinator

    engine.destroy()  # its hooks
    parameter_offload.FWD_MODULE_STACK.clear()
    for candidate in gc.get_objects():  # the cache belongs to a private method, behind a decorator
        # `type`, not `isinstance`, which reads `__class__`: some objects warn when it is read.
        if (
            type(candidate) is _lru_cache_wrapper
            and candidate.__module__ == partitioned_param_coordinator.__name__
        ):
            candidate.cache_clear()


def full_gradient(parameter: torch.nn.Parameter) -> torch.Tensor | None:
    """Return a parameter's whole gradient, averaged over all processes: a collective."""
    from deepspeed.utils import safe_get_full_grad

    gradient: torch.Tensor | None = safe_get_full_grad(parameter)
    return gradient


def set_full_gradient(parameter: torch.nn.Parameter, gradient: torch.Tensor | None) -> None:
    """Replace a parameter's gradient; each process keeps its share."""
    from deepspeed.utils import safe_set_full_grad

    if gradient is None:
        return
    if hasattr(parameter, "ds_id"):  # DeepSpeed 0.19 cuts shares of equal size, past its end
        gradient = torch.nn.functional.pad(gradient.flatten(), (0, -gradient.numel() % ranks.world()))
    safe_set_full_grad(parameter, gradient)


def _check_splittable(model: Joined) -> None:
    if not all(parameter.is_floating_point() for parameter in model.parameters()):
        msg = 'at stage 3 DeepSpeed cannot split quantised weights; use stage 2, or decoder.quantise = "none"'
        raise SetupError(msg)
    if single := [name for name, parameter in model.named_parameters() if parameter.ndim == 0]:
        msg = f"at stage 3 DeepSpeed cannot split {single[0]}, a tensor without dimensions; use stage 2"
        raise SetupError(msg)


@contextmanager
def _no_broadcast() -> Iterator[None]:
    """Keep DeepSpeed from sending the whole model from rank 0 to every other process.

    Every process has read the frozen parts, and DeepSpeed 0.19 fails on a tensor without dimensions.
    """
    from deepspeed.runtime.engine import DeepSpeedEngine

    broadcast = DeepSpeedEngine._broadcast_model  # noqa: SLF001 - there is no setting for it
    DeepSpeedEngine._broadcast_model = lambda _: None  # noqa: SLF001
    try:
        yield
    finally:
        DeepSpeedEngine._broadcast_model = broadcast  # noqa: SLF001


def _inner(optimizer: Any) -> torch.optim.Optimizer:
    """Return torch's optimizer inside DeepSpeed's."""
    inner: torch.optim.Optimizer = getattr(optimizer, "optimizer", optimizer)
    return inner


def _stepped(optimizer: Any) -> list[torch.Tensor]:
    """Return the tensors that this process's optimizer updates: flat shares of groups, or at stage 0 all."""
    for name in ("single_partition_of_fp32_groups", "fp32_partitioned_groups_flat"):  # stages 1 and 2; 3
        if hasattr(optimizer, name):
            return list(getattr(optimizer, name))
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _share(folder: Path) -> Path:
    return folder / f"optimizer_{ranks.rank()}.pt"
