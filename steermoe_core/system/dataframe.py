"""Lists of records that become pandas tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from steermoe_core.errors import SetupError
from steermoe_core.system.records import plain

if TYPE_CHECKING:
    from pandas import DataFrame

R = TypeVar("R")


class Records(list[R]):
    """A list of records of one class."""

    def to_pandas(self) -> DataFrame:
        """Return a table with a row for each record and a column for each field.

        A table in a record becomes columns with dotted names, such as ``learning_rate.projector``.

        :raises SetupError: pandas is not installed.
        """
        try:
            from pandas import DataFrame
        except ImportError as error:
            msg = f"pandas cannot be imported ({error}); install it with `pip install pandas`"
            raise SetupError(msg) from error
        return DataFrame([_row(plain(record)) for record in self])


def _row(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    row: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            row |= _row(value, f"{prefix}{key}.")
        else:
            row[f"{prefix}{key}"] = value
    return row
