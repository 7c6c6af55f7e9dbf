"""Kaldi's statistics: what they mean, in each form, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from steermoe_conformer import cmvn
from steermoe_core.errors import SetupError
from tests.conformers import ark, statistics

if TYPE_CHECKING:
    from pathlib import Path

SMALL = np.array([[10.0, -4.0, 2.0], [58.0, 8.0, 0.0]])  # 2 frames of means 5 and -2


@pytest.mark.parametrize("kind", [b"DM ", b"FM "])
def test_binary_statistics_are_means_and_deviations(tmp_path: Path, kind: bytes) -> None:
    """Mean s/n; variance q/n - mean², at least 1e-20."""
    path = tmp_path / "cmvn.ark"
    path.write_bytes(ark(SMALL, kind))

    found = cmvn.read(path, bins=2)

    assert found.mean.tolist() == [5.0, -2.0]
    assert found.deviation.tolist() == pytest.approx([2.0, 1e-10])
    assert found.mean.dtype == found.deviation.dtype == torch.float32


@pytest.mark.parametrize("key", ["", "global "])
def test_text_statistics_are_the_same(tmp_path: Path, key: str) -> None:
    """The text form of a matrix, with or without a key, gives what the binary one gives."""
    numbers = statistics()
    rows = "\n".join("  " + " ".join(repr(float(number)) for number in row) for row in numbers)
    (tmp_path / "cmvn.txt").write_text(f"{key} [\n{rows} ]\n", "ascii")
    (tmp_path / "cmvn.ark").write_bytes(ark(numbers))

    text, binary = (cmvn.read(tmp_path / name, 80) for name in ("cmvn.txt", "cmvn.ark"))

    assert torch.equal(text.mean, binary.mean)
    assert torch.equal(text.deviation, binary.deviation)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (ark(SMALL)[:-1], "is no matrix"),
        (ark(SMALL)[:9], "is no matrix"),
        (b"\0BCM " + ark(SMALL)[5:], "is no matrix"),
        (b"\xff\xfe", "is no matrix"),
        (b"[ 1 2 3\n 4 5 ]", "is no matrix"),
        (b"[ one 2 3\n 4 5 6 ]", "is no matrix"),
        (b"1 2 3", "has 1 rows and 0 columns, but an encoder of 2 mel bins needs 2 rows and 3 columns"),
        (
            ark(statistics()),
            "has 2 rows and 81 columns, but an encoder of 2 mel bins needs 2 rows and 3 columns",
        ),
        (ark(SMALL * [1, 1, 0]), "counts 0 frames"),
        (ark(SMALL * [np.nan, 1, 1]), "not finite"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    """One sentence says which file it is and what is wrong with it."""
    path = tmp_path / "cmvn.ark"
    path.write_bytes(content)

    with pytest.raises(SetupError, match=sentence) as caught:
        cmvn.read(path, bins=2)

    assert str(path) in str(caught.value)
