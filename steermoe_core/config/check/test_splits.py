"""The one rule for test splits: they are scored, and nothing else."""

from __future__ import annotations

import re
from typing import Literal

#: The tables of [data] that refuse test splits, and the rule of each as errors state it.
Table = Literal["train", "validate"]
RULES: dict[Table, str] = {
    "train": "a test split is never trained on",
    "validate": "a test split never selects the best step",
}


def is_test(split: str | None) -> bool:
    """Return whether a split has the word test in its name: `test.clean`, `Test_other`, not `latest`."""
    return split is not None and "test" in re.findall(r"[a-z]+", split.lower())
