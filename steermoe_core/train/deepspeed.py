"""The DeepSpeed config of an experiment: generated, so that no setting has a second source."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from steermoe_core.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from steermoe_core.config.experiment import TrainConfig


def check_installed() -> None:
    """Make sure that DeepSpeed is there.

    :raises SetupError: it is not.
    """
    if find_spec("deepspeed") is None:
        msg = "DeepSpeed is not installed; `pip install steermoe[deepspeed]` brings it"
        raise SetupError(msg)


def splits_weights(train: TrainConfig) -> bool:
    """Tell whether no process has all weights of the model in training."""
    return train.deepspeed is not None and train.deepspeed.stage == 3  # noqa: PLR2004 - ZeRO's number


def ds_config(train: TrainConfig) -> dict[str, Any] | None:
    """Return the DeepSpeed config of an experiment; None if it has no `[train.deepspeed]`.

    Trained parameters stay fp32 and so do their gradients on the way between processes; bf16 is an autocast
    of the forward pass, as it is without DeepSpeed. Nothing is clipped here: groups are clipped one by one.
    """
    settings = train.deepspeed
    if settings is None:
        return None
    # Stage 3 would put a linear map of its own in torch's place, for good, and round otherwise.
    zero: dict[str, Any] = {"stage": settings.stage, "memory_efficient_linear": False}
    if settings.offload == "cpu":
        zero["offload_optimizer"] = {"device": "cpu"}
        if splits_weights(train):
            zero["offload_param"] = {"device": "cpu"}
    return {
        "train_micro_batch_size_per_gpu": train.batch_size,
        "gradient_accumulation_steps": train.accumulation,
        "gradient_clipping": 0.0,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,  # torch's AdamW, with our groups
        "zero_force_ds_cpu_optimizer": False,  # the same AdamW where its state is offloaded
        "torch_autocast": {
            "enabled": train.precision == "bf16",
            "dtype": "bfloat16",
            "lower_precision_safe_modules": [],  # whose gradients would travel in bf16
        },
    }


def dimensions(tensor: torch.Tensor) -> int:
    """Return the number of dimensions of a tensor, also where ZeRO-3 has split it."""
    return len(getattr(tensor, "ds_shape", tensor.shape))


@contextmanager
def whole(tensor: torch.Tensor) -> Iterator[None]:
    """Have a tensor of a model in one piece inside the block, where ZeRO-3 has split it: a collective."""
    if not hasattr(tensor, "ds_id") or tensor.requires_grad:  # trained ones are kept whole
        yield
        return
    from deepspeed import zero

    with zero.GatheredParameters([tensor]):
        yield
