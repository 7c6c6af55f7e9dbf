"""Errors of the processes that load audio, as the sentences that they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from steermoe_core.data.example import Example
    from steermoe_core.data.layout import Batch


class LoadingError(DataError):
    """A batch that could not be made.

    torch makes an error of a worker process anew, from the text of its traceback; the sentence is that
    text's end.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text.rpartition(f"{type(self).__name__}: ")[2].strip())


class Told:
    """Makes batches, and gives errors a form that outlives the way out of a worker process.

    :param collate: makes the batch of some examples.
    """

    def __init__(self, collate: Callable[[list[Example]], Batch]) -> None:
        self._collate = collate

    def __call__(self, examples: list[Example]) -> Batch:
        """Return the batch of some examples.

        :raises LoadingError: data that cannot be used.
        """
        try:
            return self._collate(examples)
        except DataError as error:
            raise LoadingError(str(error)) from None
