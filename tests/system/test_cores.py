"""The cores of a process are those that it may use, not those of the machine."""

from __future__ import annotations

import os

import pytest

from steermoe_core.system.cores import cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinities")
def test_an_affinity_limits_them() -> None:
    """As a scheduler or `taskset` sets it."""
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert cores() == len(before)


def test_without_affinities_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """At least one, where the system does not say."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1
