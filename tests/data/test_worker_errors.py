"""An error in a process that loads audio reaches the user as its message alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch.utils.data import DataLoader

from steermoe_core.data.example import Example
from steermoe_core.data.worker_errors import LoadingError, WorkerCollate
from steermoe_core.errors import DataError


def refuse(examples: list[Example]) -> list[str]:
    """Refuse every batch with a bad clip."""
    if examples[0].id == "bad":
        msg = "clip.wav: cannot be read: as audio"
        raise DataError(msg)
    return [example.id for example in examples]


@pytest.mark.parametrize("workers", [0, 1])
def test_only_the_message(workers: int) -> None:
    """Here as from a worker, whose traceback torch makes the text of the error."""
    clips = [Example(id=name, audio=Path("clip.wav"), text="", seconds=1.0) for name in ("good", "bad")]
    loader = iter(DataLoader(clips, batch_size=1, num_workers=workers, collate_fn=WorkerCollate(refuse)))

    assert next(loader) == ["good"]
    with pytest.raises(LoadingError) as error:
        next(loader)
    assert str(error.value) == "clip.wav: cannot be read: as audio"
