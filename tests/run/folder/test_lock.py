"""lock.json names every package that decides numbers: the engine's, and those that plugins build on."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from steermoe_core.plugins import load_registry
from steermoe_core.plugins.discovery import normal
from steermoe_core.run.folder import lock

#: What steermoe requires and no number depends on: settings, plugins, files of the hub, what people see.
WITHOUT_EFFECT = {
    *("attrs", "cattrs", "packaging", "pluggy", "tomli"),
    "huggingface-hub",
    "silero-vad",  # cuts recordings of `transcribe`, which no run records
    *("jinja2", "rich"),
}


def packages() -> dict[str, str | None]:
    """Return the packages of a lock.json written here."""
    return lock.describe(load_registry(), processes=1, seed=1, frozen={}, data={}).packages


def test_every_requirement_is_recorded_or_without_effect() -> None:
    """Who adds a requirement says here which it is; that of an extra counts, but for the tests'."""
    needed = [Requirement(text) for text in requires("steermoe") or []]
    names = {normal(one.name) for one in needed if '"test"' not in str(one.marker).replace("'", '"')}

    assert names <= {*map(normal, lock.PACKAGES), *WITHOUT_EFFECT}
    assert not WITHOUT_EFFECT & set(lock.PACKAGES)


def test_each_has_the_version_that_is_installed() -> None:
    """Null for one that is not."""
    found = packages()

    assert {"deepspeed", "datasets", "rapidfuzz"} <= found.keys()
    for name, recorded in found.items():
        try:
            assert recorded == version(name)
        except PackageNotFoundError:
            assert recorded is None


def test_what_a_plugin_requires_is_recorded() -> None:
    """Peft is known to steermoe-lora alone; what is without effect is not recorded for a plugin either."""
    found = packages()

    assert found["peft"]
    assert not {*WITHOUT_EFFECT, "steermoe", "steermoe-lora"} & found.keys()


def test_a_blocked_plugin_requires_nothing() -> None:
    """Nothing of it is used."""
    found = lock.describe(load_registry(block=["lora"]), processes=1, seed=1, frozen={}, data={})

    assert "peft" not in found.packages
