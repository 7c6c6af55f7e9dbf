"""What every dataset of steermoe promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core.testing import DatasetSuite
from tests.tars import write_tar

if TYPE_CHECKING:
    from pathlib import Path


class TestShards(DatasetSuite):
    """Local shards to be trained on."""

    component = "webdataset"

    def settings(self, folder: Path) -> dict[str, str]:
        """Return the settings of two shards."""
        write_tar(folder / "a-0.tar", one="two", three="four")
        write_tar(folder / "a-1.tar", one="five")
        return {"path": str(folder / "a-{0..1}.tar"), "split": "train"}


class TestTest(DatasetSuite):
    """A shard that is only scored, behind a URL."""

    component = "webdataset-url"

    def settings(self, folder: Path) -> dict[str, str]:
        """Return the settings of one shard."""
        write_tar(folder / "a.tar", one="two")
        return {"url": f"file://{folder}/*.tar", "split": "test"}
