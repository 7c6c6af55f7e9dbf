"""A small random conformer for all tests here."""

from __future__ import annotations

import pytest
import torch

from tests.conformers import save_public


@pytest.fixture(scope="session")
def public(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of a small conformer in the form of the public checkpoints."""
    torch.set_num_threads(1)
    return save_public(tmp_path_factory.mktemp("public"))
