"""Which engine a new plugin goes with; what is written is tested with the command."""

from __future__ import annotations

import pytest

from steermoe_core.scaffold.write import requirement


@pytest.mark.parametrize(
    ("version", "expected"),
    [("0.1.0", "steermoe>=0.1,<0.2"), ("0.12.3.dev1", "steermoe>=0.12,<0.13"), ("2.3", "steermoe>=2.3,<3")],
)
def test_what_a_plugin_needs(version: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions below 1.0 may break a plugin at each minor step, later ones at each major."""
    monkeypatch.setattr("steermoe_core.scaffold.write.version", lambda _: version)
    assert requirement() == expected
