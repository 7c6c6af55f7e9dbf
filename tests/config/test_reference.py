"""The reference says what the classes say."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.generate.experiment import reference
from steermoe_core.config.experiment import Experiment
from steermoe_core.config.fields import fields_of, parameters, tables
from steermoe_core.config.naming import table_name

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "experiment.md"
TABLES = tables(Experiment)


@pytest.mark.parametrize("path", TABLES, ids=table_name)
def test_every_key_is_documented_and_every_documented_key_exists(path):
    """One `:param:` a key, none left over."""
    cls = TABLES[path]
    assert list(parameters(cls)) == list(fields_of(cls))
    assert all(parameters(cls).values())


def test_the_page_is_up_to_date():
    """The committed page equals what the classes give."""
    renew = "python -m docs.generate.experiment > docs/reference/experiment.md"
    assert PAGE.read_text(encoding="utf-8") == reference(), f"renew it: {renew}"
