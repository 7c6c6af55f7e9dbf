"""Running a suite without pytest: `steermoe check-plugin` does, and so can anybody."""

from __future__ import annotations

import time
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal
from unittest import SkipTest

import attrs

from steermoe_core.errors import SteermoeError
from steermoe_core.plugins.quarantine import described
from steermoe_core.testing.suite import AnySuite, Wrong, checks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from steermoe_core.plugins import Registry


@attrs.frozen(kw_only=True)
class Result:
    """What became of one check.

    :param check: its name.
    :param status: `skipped` checks say why; they are no fault of the part.
    :param sentence: what was expected and found, and where to look; empty where all is well.
    :param seconds: that it took.
    """

    kind: str
    name: str
    check: str
    status: Literal["ok", "failed", "skipped"]
    sentence: str = ""
    seconds: float = 0.0


def suite_class(kind: str) -> type[AnySuite]:
    """Return the suite of a kind."""
    suite: type[AnySuite] = getattr(import_module("steermoe_core.testing"), f"{kind.capitalize()}Suite")
    return suite


def suite_of(registry: Registry, kind: str, name: str, settings: Mapping[str, Any]) -> type[AnySuite]:
    """Return the suite of a component.

    :param settings: of the component, as an experiment would have them.
    """
    own = {"component": name, "settings": settings, "registry": registry}
    return type(f"Test{kind.capitalize()}", (suite_class(kind),), own)


def results(suite: type[AnySuite]) -> Iterator[Result]:
    """Run every check of a suite and yield what became of it."""
    suite.setup_class()
    try:
        for check in checks(suite):
            yield _judged(suite, check)
    finally:
        suite.teardown_class()


def _judged(suite: type[AnySuite], check: str) -> Result:
    one, start = suite(), time.perf_counter()
    one.setup_method()
    status: Literal["ok", "failed", "skipped"] = "ok"
    sentence = ""
    try:
        getattr(one, f"test_{check}")()
    except SkipTest as reason:
        status, sentence = "skipped", str(reason)
    except (Wrong, SteermoeError) as verdict:
        status, sentence = "failed", str(verdict)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        status, sentence = "failed", f"it raised {described(error)}"
    finally:
        one.teardown_method()
    seconds = time.perf_counter() - start
    return Result(
        kind=suite.kind, name=suite.component, check=check, status=status, sentence=sentence, seconds=seconds
    )
