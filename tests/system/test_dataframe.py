"""Records as tables of pandas."""

from __future__ import annotations

import sys

import attrs
import pytest

from steermoe_core.errors import SetupError
from steermoe_core.system.dataframe import Records
from steermoe_core.system.records import plain, rest


@attrs.frozen(kw_only=True)
class Step:
    """A record with tables, lists and further keys."""

    step: int
    loss: float | None = None
    rates: dict[str, float] = attrs.field(factory=dict)
    others: dict[str, object] = rest()


RECORDS = Records(
    [
        Step(step=1, loss=0.5, rates={"lora": 0.1}),
        Step(step=2, others={"gates": [1, 2], "load": {"a": {"b": 3}}}),
    ]
)


def test_a_row_is_a_record_and_a_column_is_a_field():
    """Tables become dotted columns, lists stay; what a record lacks is empty."""
    pandas = pytest.importorskip("pandas")
    frame = RECORDS.to_pandas()

    assert list(frame.columns) == ["step", "loss", "rates.lora", "gates", "load.a.b"]
    assert frame.step.tolist() == [1, 2]
    assert frame.gates[1] == [1, 2]
    assert pandas.isna(frame["rates.lora"][1])


def test_no_records_are_an_empty_table():
    """Without columns."""
    pytest.importorskip("pandas")
    assert Records[Step]().to_pandas().empty


def test_they_are_a_list():
    """Everything else of a list works."""
    assert [one.step for one in RECORDS] == [1, 2]
    assert RECORDS[-1].step == 2
    assert plain(RECORDS) == [plain(one) for one in RECORDS]


def test_without_pandas_one_sentence_says_what_to_install(monkeypatch):
    """Instead of an ImportError."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(SetupError, match=r"^pandas cannot be imported \(.*\); install it with `pip install "):
        RECORDS.to_pandas()
