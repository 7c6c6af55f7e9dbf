"""The Hugging Face hub: what a name on it looks like, and a client that gives up soon where it is away."""

from __future__ import annotations

import os
import re
import time
import warnings
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A name on the hub: `owner/name`, or `name` alone.
NAME = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)?")
#: What names of files end with, and those of models and data sets do not.
_SUFFIXES = re.compile(
    r"\.(gguf|safetensors|bin|pth?|ckpt|onnx|tar|gz|zip|json|jsonl|toml|ark|parquet|arrow)", re.IGNORECASE
)
#: Seconds that the hub has to answer at all, and for which the answer holds.
_PATIENCE, _VALID = 5.0, 60.0
_found: dict[str, tuple[float, str]] = {}


def is_path(value: str) -> bool:
    """Tell whether a value can only be meant as a path: what it names is here, or nowhere.

    It is a path if it starts with a dot, a slash or a tilde, is of another form than `owner/name` or `name`,
    ends like a file, or if its first folder exists and the hub's cache holds no such model.
    """
    if not NAME.fullmatch(value) or _SUFFIXES.fullmatch(Path(value).suffix):
        return True
    owner, slash, _ = value.partition("/")
    return bool(slash) and Path(owner).is_dir() and not _cached(value)


def expanded(value: str) -> str:
    """Return a path below `~` with the home folder, and anything else as it is."""
    return os.path.expanduser(value)  # noqa: PTH111 - unlike pathlib, it leaves an unknown user alone


def report_folder(value: str, other: str = "what has this name on the hub") -> None:
    """Warn of a folder that is used although its path looks like `owner/name`.

    A file or folder that exists always comes before the hub and before what plugins provide.

    :param other: what is not used.
    """
    if "/" in value and NAME.fullmatch(value) and Path(value).exists():
        message = f"{value}: the folder {Path(value).resolve()} is used, not {other}"
        warnings.warn(message, stacklevel=2)


@contextmanager
def nothing_fetched() -> Iterator[None]:
    """Switch the hub's client to what it has in its cache, for models and data of every plugin."""
    from huggingface_hub import constants

    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


@contextmanager
def asking() -> Iterator[str]:
    """Ask the hub inside the block; where it does not answer, its client uses its cache and does not retry.

    :returns: why the hub does not answer; empty where it does.
    """
    reason = silence()
    with nothing_fetched() if reason else nullcontext():
        yield reason


def silence() -> str:
    """Return why the hub does not answer, after a few seconds at most; empty where it does."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        by_hand = any(os.environ.get(name) for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))
        return "HF_HUB_OFFLINE is set" if by_hand else "nothing is fetched here"
    asked, reason = _found.get(constants.ENDPOINT, (-_VALID, ""))
    if time.monotonic() - asked >= _VALID:
        reason = _knock(constants.ENDPOINT)
        _found[constants.ENDPOINT] = time.monotonic(), reason
    return reason


def _knock(address: str) -> str:
    """Return why an address does not answer; a name server that hangs is waited for no longer than others."""
    patience = float(os.environ.get("HF_HUB_ETAG_TIMEOUT") or _PATIENCE)
    found = [f"{address} does not answer within {patience:g} s"]

    def knock() -> None:
        from huggingface_hub import get_session

        try:
            code = get_session().head(address, timeout=2 * patience).status_code
            found.append(f"{address} answers with {code}" if code >= 500 else "")  # noqa: PLR2004 - it is broken
        except Exception as error:  # noqa: BLE001 - of a transport that differs between versions
            found.append(f"{address} cannot be reached: {str(error) or type(error).__name__}")

    thread = Thread(target=knock, daemon=True)
    thread.start()
    thread.join(patience)
    return found[-1]


def _cached(name: str) -> bool:
    """Tell whether the hub's cache holds a model or data set of that name."""
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = name.replace("/", "--")
    return any(Path(HF_HUB_CACHE, f"{kind}--{folder}").is_dir() for kind in ("models", "datasets"))
