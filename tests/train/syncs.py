"""Waits for the device, counted on a machine without one: the meta device takes the place of a GPU.

Tensors on the meta device have no values, so that every operation shows that would wait for some.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import TrainingArguments

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest
    from typing_extensions import Self

ATEN = torch.ops.aten
META = torch.device("meta")
#: Operations whose result has a shape that depends on values.
SHAPED = {ATEN.nonzero.default, ATEN.masked_select.default, ATEN.unique_dim.default, ATEN._unique2.default}
INDEXED = {ATEN.index.Tensor, ATEN.index_put.default, ATEN.index_put_.default}


class _Host(TorchFunctionMode):
    """Counts what the host sends to the device where no operation shows it."""

    def __init__(self, found: Counter[str]) -> None:
        super().__init__()
        self._found = found

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function."""
        result = func(*args, **(kwargs or {}))
        if func in (torch.tensor, torch.as_tensor) and result.is_meta and result.numel():
            self._found["copy that waits"] += 1
        if func is torch.Tensor.__getitem__ and args[0].is_meta:
            indices = args[1] if isinstance(args[1], tuple) else (args[1],)
            self._found["index on the host"] += sum(isinstance(index, list) for index in indices)
        return result


class Syncs(TorchDispatchMode):
    """Counts the operations inside its block for which a GPU would make the host wait.

    A number that is read is 1 and a truth is true, so that the program runs on; an operation whose result
    has an unknown shape ends it.

    :ivar found: how often each operation occurred.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self._host = _Host(self.found)

    def __enter__(self) -> Self:
        """Begin to count."""
        self._host.__enter__()
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        """End."""
        super().__exit__(*error)
        self._host.__exit__(*error)
        self.found = +self.found  # without those that did not occur

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation."""
        kwargs = kwargs or {}
        there = [one.is_meta for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
        if func is ATEN._local_scalar_dense.default and there[0]:
            self.found["read"] += 1
            return True if args[0].dtype is torch.bool else 1
        if func in SHAPED and there[0]:
            self.found["shape"] += 1
        if func in INDEXED and there[0]:
            indices = [index for index in args[1] if index is not None]
            self.found["mask as index"] += sum(index.dtype is torch.bool for index in indices)
            self.found["index on the host"] += sum(not index.is_meta for index in indices)
        if func is ATEN._to_copy.default:
            to = torch.device(kwargs.get("device") or args[0].device)
            if there[0] and to != META:
                self.found["copy to the host"] += 1
                return torch.ones(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
            if not there[0] and to == META and not kwargs.get("non_blocking"):
                self.found["copy that waits"] += 1
        return func(*args, **kwargs)


@contextmanager
def on_meta(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let trainers compute on the meta device inside the block."""
    with patch.context() as patched:
        patched.setattr(TrainingArguments, "device", META)
        patched.setattr(Accelerator, "device", META)
        patched.setattr(torch, "is_autocast_enabled", lambda *_: False)  # meta knows no autocast
        yield
