"""Rows of parquet and Arrow files, as a whole and one value at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steermoe_core.data.columnar import rows, schema, value
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

TABLE = pa.table({"text": ["a", "b", "c", "d", None], "rate": [1, 2, 3, 4, 5]})
KINDS = ("parquet", "stream", "file")


@pytest.fixture(params=KINDS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return the table as parquet in three row groups, or in one of Arrow's two formats."""
    found = tmp_path / f"table.{request.param}"
    if request.param == "parquet":
        pq.write_table(TABLE, found, row_group_size=2)
        return found
    new = pa.ipc.new_stream if request.param == "stream" else pa.ipc.new_file
    with new(str(found), TABLE.schema) as writer:
        writer.write_table(TABLE)
    return found


def test_columns_at_once(path: Path) -> None:
    """Only those that are named; with none, the rows are counted."""
    assert schema(path).names == ["text", "rate"]
    assert list(rows(path, ["rate"])) == [{"rate": number} for number in (1, 2, 3, 4, 5)]
    assert list(rows(path, [])) == [{}] * 5


def test_one_value(path: Path) -> None:
    """In whichever row group it is."""
    assert [value(path, row, "rate").as_py() for row in (4, 0, 3, 1, 2)] == [5, 1, 4, 2, 3]


@pytest.mark.parametrize(
    ("row", "column", "message"),
    [
        (4, "text", "row 4: column 'text' is empty"),
        (5, "rate", "row 5: cannot be read"),
        (0, "sound", "row 0: cannot be read"),
    ],
)
def test_a_value_that_is_not_there(path: Path, row: int, column: str, message: str) -> None:
    """Null, or gone since the table was listed: the file and the row are named."""
    with pytest.raises(DataError, match=message) as error:
        value(path, row, column)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more", b"neither"])
def test_a_damaged_file(tmp_path: Path, content: bytes) -> None:
    """Of any kind."""
    path = tmp_path / "table"
    path.write_bytes(content)

    with pytest.raises(DataError, match="cannot be read as a parquet or Arrow file"):
        schema(path)


def test_a_missing_file(tmp_path: Path) -> None:
    """It is named."""
    with pytest.raises(DataError, match=r"gone\.parquet: there is no such file"):
        schema(tmp_path / "gone.parquet")
