"""The plugin's record, and how cheap it is to read."""

from __future__ import annotations

import subprocess
import sys

import steermoe_webdataset
from steermoe_webdataset.config import ParquetUrlConfig, WebdatasetConfig, WebdatasetUrlConfig


def test_offers_three_datasets() -> None:
    """The records name the settings and the code."""
    local, remote, rows = steermoe_webdataset.steermoe_datasets()

    assert (local.name, local.config_class()) == ("webdataset", WebdatasetConfig)
    assert (remote.name, remote.config_class()) == ("webdataset-url", WebdatasetUrlConfig)
    assert (rows.name, rows.config_class()) == ("parquet-url", ParquetUrlConfig)


def test_record_and_settings_need_no_torch() -> None:
    """Listing and checking import nothing heavy."""
    code = (
        "import sys, steermoe_webdataset as p; next(iter(p.steermoe_datasets())).config_class();"
        "print({'torch', 'transformers', 'numpy', 'pyarrow', 'fsspec'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
