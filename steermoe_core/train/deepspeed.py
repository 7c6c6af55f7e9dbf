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
    """Check that DeepSpeed is installed.

    :raises SetupError: it is not.
    """
    if find_spec("deepspeed") is None:
        msg = "DeepSpeed is not installed; `pip install steermoe[deepspeed]` brings it"
        raise SetupError(msg)


def splits_weights(train: TrainConfig) -> bool:
    """Return whether the weights of the model in training are split over the processes."""
    return train.deepspeed is not None and train.deepspeed.stage == 3  # noqa: PLR2004 - ZeRO's number


def ds_config(train: TrainConfig) -> dict[str, Any] | None:
    """Return the DeepSpeed config of an experiment; None if it has no `[train.deepspeed]`.

    Trained parameters are fp32, and so are the gradients that processes exchange; bf16 is an autocast of the
    forward pass, as without DeepSpeed. DeepSpeed clips nothing: `GroupClip` clips each group.
    """
    settings = train.deepspeed
    if settings is None:
        return None
    # Or stage 3 would replace torch's linear function in the whole process by one that rounds differently.
    zero: dict[str, Any] = {"stage": settings.stage, "memory_efficient_linear": False}
    if settings.offload == "cpu":
        zero["offload_optimizer"] = {"device": "cpu"}
        if splits_weights(train):
            zero["offload_param"] = {"device": "cpu"}
    return {
        "train_micro_batch_size_per_gpu": train.micro_batch,
        "gradient_accumulation_steps": train.accumulation,
        "gradient_clipping": 0.0,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,  # torch's AdamW, with our groups
        "zero_force_ds_cpu_optimizer": False,  # the same AdamW where its state is offloaded
        "torch_autocast": {
            "enabled": train.precision == "bf16",
            "dtype": "bfloat16",
            "lower_precision_safe_modules": [],  # their gradients would be exchanged in bf16
        },
    }


def dimensions(tensor: torch.Tensor) -> int:
    """Return the number of dimensions of a tensor, even if ZeRO-3 has split it."""
    return len(getattr(tensor, "ds_shape", tensor.shape))


@contextmanager
def whole(tensor: torch.Tensor) -> Iterator[None]:
    """Gather a tensor of a model for the block if ZeRO-3 has split it: a collective."""
    status = getattr(tensor, "ds_status", None)
    if status is None or status.name == "AVAILABLE":  # not split; gathered, and to stay so
        yield
        return
    from deepspeed import zero

    with zero.GatheredParameters([tensor]):
        yield
