"""Pretrained weights: loading them, or only their shapes where nothing is computed."""

from __future__ import annotations

import hashlib
import logging
import zipfile
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from steermoe_core.config.naming import first_line
from steermoe_core.errors import SetupError
from steermoe_core.system import hub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import nn

    #: Keyword arguments of transformers configs, `model_type` among them, by hub id.
    Facts = Mapping[str, Mapping[str, Any]]

# DeepSpeed, where it is installed, logs the accelerator on stdout, which is for results.
logging.getLogger("DeepSpeed").addFilter(
    lambda record: "Setting accelerator to CPU" not in record.getMessage()
)

# bitsandbytes, which peft imports where it is installed, advises a faster kernel for CPUs.
logging.getLogger("bitsandbytes.backends.cpu.ops").addFilter(
    lambda record: "Failed to load CPU gemm_4bit" not in record.getMessage()
)

_WEIGHT_FILES = {".safetensors", ".bin", ".gguf", ".tar"}
_SHAPES_ONLY: ContextVar[bool] = ContextVar("shapes_only", default=False)


def shapes_only() -> AbstractContextManager[None]:
    """Build models on the meta device inside this block: exact shapes and counts, no weights, no memory."""
    return _building("meta", shapes_only=True)


def weights_too() -> AbstractContextManager[None]:
    """Build models with their weights inside this block, also within `shapes_only`."""
    return _building("cpu", shapes_only=False)


@contextmanager
def _building(device: str, *, shapes_only: bool) -> Iterator[None]:
    token = _SHAPES_ONLY.set(shapes_only)
    try:
        with torch.device(device):
            yield
    finally:
        _SHAPES_ONLY.reset(token)


def pretrained(auto_class: Any, weights: str, *, known: Facts | None = None, **options: Any) -> Any:
    """Return a Hugging Face model with its weights; inside `shapes_only`, the same model without them.

    :param auto_class: a transformers class with `from_pretrained`.
    :param weights: a local folder, a .gguf file or a hub id.
    :param known: configs of published models by hub id, for shapes of models that are not on this machine.
    :param options: passed on, such as ``dtype`` or ``attn_implementation``.
    :raises SetupError: the weights are missing; inside `shapes_only`, the shapes are not known.
    """
    if not _SHAPES_ONLY.get():
        return load(auto_class, weights, **options)
    build = getattr(auto_class, "from_config", None) or auto_class._from_config  # noqa: SLF001 - its only spelling
    config = _config(weights, known or {})
    if options.get("dtype") == "auto":
        options["dtype"] = config.dtype or torch.get_default_dtype()
    return build(config, **options).to("meta")  # a few layers, such as weight norms, choose their own device


def prepared(auto_class: Any, weights: str, otherwise: Callable[[], Any]) -> Any:
    """Return a tokenizer or feature extractor.

    :param otherwise: makes a substitute for one that is not on this machine, inside `shapes_only`.
    :raises SetupError: it is missing, outside `shapes_only`.
    """
    if not _SHAPES_ONLY.get():
        return load(auto_class, weights)
    try:
        return load(auto_class, weights, local_files_only=True)
    except SetupError:
        return otherwise()


def _config(weights: str, known: Facts) -> Any:
    """Return a model's config from this machine, or else from the known facts; nothing is fetched for it.

    :raises SetupError: neither has it.
    """
    from transformers import AutoConfig

    try:
        return load(AutoConfig, weights, local_files_only=True)
    except SetupError:
        if weights in known:
            return AutoConfig.for_model(**known[weights])
        if Path(weights).exists() or hub.is_path(weights):
            raise
        msg = (
            f"the shapes of {weights!r} are not known: its config is not on this machine, and no config is "
            f"fetched for them; get it with `hf download {weights} config.json`"
        )
        raise SetupError(msg) from None


def load(auto_class: Any, weights: str, **options: Any) -> Any:
    """Return what a transformers class loads from a folder, a .gguf file or the hub, shapes only or not.

    :raises SetupError: it is missing or damaged.
    """
    here = Path(weights).exists()
    if not here and hub.is_path(weights):
        raise absent(weights)
    if weights.endswith(".gguf"):
        weights, options["gguf_file"] = str(Path(weights).parent), Path(weights).name
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # the engine shows its own
    with nullcontext("") if here or options.get("local_files_only") else hub.asking() as silence:
        try:
            return auto_class.from_pretrained(weights, **options)
        except SafetensorError as error:
            msg = f"the weights at {weights!r} are damaged ({first_line(error)}); fetch or copy them again"
            raise SetupError(msg) from error
        except (OSError, ValueError) as error:  # ValueError: a folder with something else
            raise absent(weights, silence or first_line(error)) from error


def absent(weights: str, reason: str = "") -> SetupError:
    """Return the error for missing weights.

    :param reason: the error of their loader or the hub; empty for a path that does not exist.
    """
    if reason:
        return SetupError(
            f"no weights at {weights!r}: it is neither a folder with a model, nor a set of weights that a "
            f"plugin provides, nor a model that the hub gave ({reason})"
        )
    fetch = f"; for the model of that name on the hub, first run `hf download {weights}`"
    return SetupError(
        f"no weights at {weights!r}: there is no such file or folder (a path starts at the working directory)"
        f"{fetch if hub.NAME.fullmatch(weights) else ''}"
    )


def inflates(path: Path) -> bool:
    """Return whether a file is a zip whose contents are larger than it: `torch.save` never compresses."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(one.file_size for one in archive.infolist()) > path.stat().st_size
    except (zipfile.BadZipFile, NotImplementedError):
        return False  # torch reports what is wrong


def at_hand(weights: str) -> bool:
    """Return whether weights are on this machine: a folder, a file, or in the cache of the hub."""
    from huggingface_hub.constants import HF_HUB_CACHE

    cached = Path(HF_HUB_CACHE, "models--" + weights.replace("/", "--"), "snapshots")
    return Path(hub.expanded(weights)).exists() or any(
        file.suffix in _WEIGHT_FILES for file in cached.glob("*/*")
    )


def fingerprint(
    module: nn.Module, whole: Callable[[torch.Tensor], AbstractContextManager[object]] = nullcontext
) -> str:
    """Return the SHA-256 of the names and values of all tensors of a module that are not trained.

    :param whole: gathers a tensor inside a block, where it is split over processes.
    """
    digest = hashlib.sha256()
    trained = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    for name, tensor in sorted(module.state_dict(keep_vars=True).items()):
        if name in trained:
            continue
        with whole(tensor):
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
