"""What every dataset of steermoe promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import parquet

from steermoe_core.testing import DatasetSuite
from tests.tars import sound, write_tar

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


class TestParquet(DatasetSuite):
    """Rows of a parquet shard behind a URL."""

    component = "parquet-url"

    def settings(self, folder: Path) -> dict[str, str]:
        """Return the settings of one shard."""
        table = pa.table({"audio": [{"bytes": sound(), "path": None}], "text": ["two"]})
        parquet.write_table(table, folder / "a.parquet")
        return {"url": f"file://{folder}/*.parquet", "split": "train"}
