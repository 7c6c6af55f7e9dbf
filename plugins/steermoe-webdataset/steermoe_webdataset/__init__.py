"""Tar and parquet shards as training data; imports no heavy package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core import Component, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator


@hookimpl
def steermoe_datasets() -> Iterator[Component]:
    """Yield the readers of shards."""
    yield Component(
        name="webdataset",
        api=1,
        summary="local tar shards with sound files and texts",
        config="steermoe_webdataset.config:WebdatasetConfig",
        factory="steermoe_webdataset.dataset:Samples",
        needs={},
    )
    yield Component(
        name="webdataset-url",
        api=1,
        summary="tar shards behind a URL: s3, https and whatever else fsspec reads",
        config="steermoe_webdataset.config:WebdatasetUrlConfig",
        factory="steermoe_webdataset.dataset:Samples",
        needs={},
    )
    yield Component(
        name="parquet-url",
        api=1,
        summary="parquet shards behind a URL: hf, s3, https and whatever else fsspec reads",
        config="steermoe_webdataset.config:ParquetUrlConfig",
        factory="steermoe_webdataset.dataset:Samples",
        needs={},
    )
