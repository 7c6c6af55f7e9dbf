"""An error in a process that loads audio reaches the user as its message alone."""

from __future__ import annotations

import pytest
from torch.utils.data import DataLoader

from steermoe_core.data.worker_errors import LoadingError, WorkerCollate
from steermoe_core.errors import DataError


def refuse(examples: list[int]) -> list[int]:
    """Refuse every batch with an odd number."""
    if examples[0] % 2:
        msg = "clip.wav: cannot be read: as audio"
        raise DataError(msg)
    return examples


@pytest.mark.parametrize("workers", [0, 1])
def test_only_the_message(workers: int) -> None:
    """Here as from a worker, whose traceback torch makes the text of the error."""
    loader = iter(DataLoader([0, 1], batch_size=1, num_workers=workers, collate_fn=WorkerCollate(refuse)))

    assert next(loader) == [0]
    with pytest.raises(LoadingError) as error:
        next(loader)
    assert str(error.value) == "clip.wav: cannot be read: as audio"
