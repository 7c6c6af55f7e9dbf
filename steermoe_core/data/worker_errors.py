"""Errors of the processes that load audio: only their message reaches the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from steermoe_core.data.audio.beginnings import kept_prints
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from steermoe_core.data.example import Example
    from steermoe_core.data.layout import Batch


class LoadingError(DataError):
    """A batch that could not be made.

    torch raises the error of a worker process again with the whole traceback as its text; the message is the
    end of that text.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text.rpartition(f"{type(self).__name__}: ")[2].strip())


class WorkerCollate:
    """A collate function of training, in a worker process or not.

    Its errors keep their message when they leave the process. How clips begin is kept at their first turn.

    :param collate: makes a batch of examples.
    """

    def __init__(self, collate: Callable[[list[Example]], Batch]) -> None:
        self._collate = collate

    def __call__(self, examples: list[Example]) -> Batch:
        """Return the batch of some examples.

        :raises LoadingError: an example cannot be used.
        """
        new = any(
            getattr(one, "turn", 0) == 0 for one in examples
        )  # where frames are kept, a number of a clip
        try:
            with torch.autocast("cpu", enabled=False), kept_prints(when=new):  # features are fp32
                return self._collate(examples)
        except DataError as error:
            raise LoadingError(str(error)) from None
