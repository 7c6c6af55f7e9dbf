"""The writer: whatever it writes, tomli reads back as the same tables."""

from __future__ import annotations

import datetime as dt

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.config.text.write import dumps, inline

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)))
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    TEXTS,
    st.dates(dt.date(1900, 1, 1)),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=12,
)
TABLES = st.dictionaries(TEXTS, VALUES, max_size=5)


@given(TABLES)
def test_tables_come_back_equal(table):
    """Any nesting of tables and lists, any key, any text."""
    assert tomli.loads(dumps(table)) == table


@given(TABLES)
def test_comments_change_nothing(table):
    """A comment behind every value leaves the tables as they are."""
    assert tomli.loads(dumps(table, comment=lambda path: f'from "x" {len(path)}')) == table


def test_it_reads_well():
    """Plain keys first, a header a table, a double header a table of a list, inline only inside lists."""
    table = {
        "name": "tiny",
        "train": {"steps": 3, "rate": {"a b": 1e-05}},
        "metrics": [{"use": "wer"}],
        "x": [{}, 1],
    }
    assert dumps(table) == (
        'name = "tiny"\nx = [{}, 1]\n\n[train]\nsteps = 3\n\n'
        '[train.rate]\n"a b" = 1e-05\n\n[[metrics]]\nuse = "wer"\n'
    )


def test_what_toml_cannot_express_is_refused():
    """None has no spelling."""
    with pytest.raises(TypeError, match="no value for None"):
        inline(None)
