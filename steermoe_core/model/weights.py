"""Pretrained weights: loading them, or only their shapes when nothing is to be computed."""

from __future__ import annotations

import hashlib
import logging
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from steermoe_core.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

# DeepSpeed, where it is installed, announces on stdout that a CPU is a CPU; stdout belongs to results.
logging.getLogger("DeepSpeed").addFilter(
    lambda record: "Setting accelerator to CPU" not in record.getMessage()
)

_SHAPES_ONLY: ContextVar[bool] = ContextVar("shapes_only", default=False)


@contextmanager
def shapes_only() -> Iterator[None]:
    """Build models on the meta device inside this block: exact shapes and counts, no weights, no memory."""
    token = _SHAPES_ONLY.set(True)
    try:
        with torch.device("meta"):
            yield
    finally:
        _SHAPES_ONLY.reset(token)


def pretrained(auto_class: Any, weights: str, **options: Any) -> Any:
    """Return a Hugging Face model with its weights; inside `shapes_only`, the same model without them.

    :param auto_class: a transformers class with `from_pretrained`.
    :param weights: a local folder, a .gguf file or a hub id.
    :param options: passed on, such as ``dtype`` or ``attn_implementation``.
    :raises SetupError: the weights are not there.
    """
    if not _SHAPES_ONLY.get():
        return load(auto_class, weights, **options)
    from transformers import AutoConfig

    build = getattr(auto_class, "from_config", None) or auto_class._from_config  # noqa: SLF001 - its only spelling
    config = load(AutoConfig, weights)
    if options.get("dtype") == "auto":
        options["dtype"] = config.dtype or torch.get_default_dtype()
    return build(config, **options)


def load(auto_class: Any, weights: str, **options: Any) -> Any:
    """Return what a transformers class loads from a folder, a .gguf file or the hub, shapes only or not.

    :raises SetupError: there is nothing of that name.
    """
    if weights.endswith(".gguf"):
        weights, options["gguf_file"] = str(Path(weights).parent), Path(weights).name
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # the engine shows its own
    try:
        return auto_class.from_pretrained(weights, **options)
    except SafetensorError as error:
        msg = f"the weights at {weights!r} are damaged ({_first_line(error)}); fetch or copy them again"
        raise SetupError(msg) from error
    except (OSError, ValueError) as error:  # ValueError: a folder that holds something else
        msg = (
            f"no weights at {weights!r}: it is neither a folder with a model, nor a set of weights that a "
            f"plugin provides, nor a model that the hub gave ({_first_line(error)})"
        )
        raise SetupError(msg) from error


def fingerprint(module: nn.Module) -> str:
    """Return the SHA-256 of every tensor of the module that is not trained, by name: its identity."""
    digest = hashlib.sha256()
    trained = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    for name, tensor in sorted(module.state_dict().items()):
        if name in trained:
            continue
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
