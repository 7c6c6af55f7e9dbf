"""Plugins that are wrong in one way each are caught by the check that is meant for it, and by no other."""

from __future__ import annotations

from importlib import import_module
from inspect import getmembers, isclass
from typing import TYPE_CHECKING, Any

import pytest
import torch

from steermoe_core.component import KINDS
from steermoe_core.hookspecs import HOOK_OF_KIND
from steermoe_core.plugins import load_registry
from steermoe_core.testing.parts import save_decoder
from steermoe_core.testing.runner import results, suite_class, suite_of
from steermoe_core.testing.suite import Suite, checks
from tests.conftest import Site
from tests.tiny import DIGITS, write_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steermoe_core.plugins import Registry
    from steermoe_core.testing.runner import Result

SETTINGS = '''
@attrs.frozen(kw_only=True)
class Settings:
    """Nothing to choose.

    :param weights: a folder.
    :param path: another folder.
    :param split: a part.
    """

    weights: str = "none"
    path: str = "none"
    split: str = "train"
'''
#: What does not depend on the kind: settings class, factory, check.
COMMON = {
    "heavy": ("fake_heavy:Settings", "import_light"),
    "heavy-settings": ("fake_heavy_settings:Settings", "import_light"),
    "no-class": ("fake_wrong:gone", "settings_class"),
    "loose": ("fake_wrong:Loose", "settings_class"),
    "changeable": ("fake_wrong:Changeable", "settings_class"),
    "undocumented": ("fake_wrong:Undocumented", "documented"),
    "wordless": ("fake_wrong:Wordless", "documented"),
    "outdated": ("fake_wrong:Outdated", "documented"),
    "unfit-default": ("fake_wrong:Unfit", "example"),
    "unset": ("fake_wrong:Unset", "builds"),
}
HEAD = """
import attrs
from attrs.validators import gt
from steermoe_core import Component, hookimpl
"""
CLASSES = '''
@attrs.frozen
class Loose:
    """Takes its key by position.

    :param size: of it.
    """
    size: int = 1

@attrs.define(kw_only=True)
class Changeable:
    """Can be changed.

    :param size: of it.
    """
    size: int = attrs.field(default=1, validator=gt(0))

@attrs.frozen(kw_only=True)
class Undocumented:
    """Says what one of two keys means.

    :param size: of it.
    """
    size: int = 1
    speed: int = 1

@attrs.frozen(kw_only=True)
class Wordless:
    pass

Wordless.__doc__ = None

@attrs.frozen(kw_only=True)
class Outdated:
    """Says what a key means that it has no more.

    :param size: of it.
    """

@attrs.frozen(kw_only=True)
class Unfit:
    """Has a default that is not valid.

    :param size: of it.
    """
    size: int = attrs.field(default=0, validator=gt(0))

@attrs.frozen(kw_only=True)
class Unset:
    """Has a key without a default.

    :param size: of it.
    """
    size: int
'''
HEAVY = (
    "import torch\n"
    + HEAD
    + SETTINGS
    + """
@hookimpl
def steermoe_metrics():
    yield Component(
        name="heavy", api=1, summary="", config="fake_heavy:Settings",
        factory="tests.testing.wrong.metrics:Right",
    )
"""
)
HEAVY_SETTINGS = (
    HEAD
    + """
@hookimpl
def steermoe_metrics():
    yield Component(
        name="heavy-settings", api=1, summary="", config="heavy_settings:Settings",
        factory="tests.testing.wrong.metrics:Right",
    )
"""
)


def parts(kind: str) -> dict[str, Any]:
    """Return every part of `wrong` of a kind, by name."""
    module = import_module(f"tests.testing.wrong.{kind if kind == 'weights' else f'{kind}s'}")
    if hasattr(module, "CAUGHT_BY"):
        return {part.__name__: part for part in module.CAUGHT_BY}
    return {name: part for name, part in getmembers(module, isclass) if part.__module__ == module.__name__}


def caught_by(kind: str, part: Any) -> str | None:
    """Return the check that is meant for a part; None for one that is right."""
    module = import_module(part.__module__)
    return module.CAUGHT_BY[part] if hasattr(module, "CAUGHT_BY") else vars(part)["caught_by"]


CASES = [(kind, name) for kind in KINDS for name in parts(kind)]


def plugin() -> str:
    """Return a plugin that offers all of them."""
    text = [HEAD, SETTINGS, CLASSES]
    for kind in KINDS:
        text.append(f"@hookimpl\ndef {HOOK_OF_KIND[kind]}():")
        for name, part in parts(kind).items():
            gives = getattr(part, "gives", None)
            groups = {"steering": 1e-3, "router": 1e-3} if kind == "adapter" else None
            text.append(
                f"    yield Component(name={name!r}, api=1, summary='', config='fake_wrong:Settings', "
                f"factory='{part.__module__}:{name}', gives={gives!r}, groups={groups!r})"
            )
        if kind == "metric":
            text += [
                f"    yield Component(name={name!r}, api=1, summary='', config={config!r}, "
                "factory='tests.testing.wrong.metrics:Right')"
                for name, (config, _) in COMMON.items()
                if config.startswith("fake_wrong")
            ]
    return "\n".join(text)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Return what is installed, the wrong plugin among it."""
    torch.set_num_threads(1)
    site = Site(tmp_path_factory.mktemp("wrong") / "site")
    site.add("wrong", plugin())
    site.add("heavy", HEAVY)
    (site.folder / "heavy_settings.py").write_text("import torch\n" + HEAD + SETTINGS)
    site.add("heavy-settings", HEAVY_SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("STEERMOE_BLOCK", raising=False)
        patch.syspath_prepend(str(site.folder))
        yield load_registry()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Return the settings of the kinds that need some."""
    place = tmp_path_factory.mktemp("settings")
    speech = write_folder(place / "speech", DIGITS[:4])
    return {"decoder": {"weights": save_decoder(place / "decoder")}, "dataset": {"path": str(speech)}}


def failed(found: list[Result]) -> set[str]:
    """Return the names of the checks that failed."""
    return {result.check for result in found if result.status == "failed"}


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_a_wrong_part_fails_its_own_check_alone(
    kind: str, name: str, registry: Registry, settings: dict[str, dict[str, str]]
) -> None:
    """One that is right fails none."""
    found = list(results(suite_of(registry, kind, name, settings.get(kind, {}))))

    wanted = caught_by(kind, parts(kind)[name])
    assert failed(found) == ({wanted} if wanted else set()), [r.sentence for r in found if r.sentence]


@pytest.mark.parametrize("name", COMMON)
def test_wrong_settings_and_imports_fail_their_own_check_alone(name: str, registry: Registry) -> None:
    """These checks are the same for all kinds."""
    given = {"size": 1} if name == "unfit-default" else {}
    found = list(results(suite_of(registry, "metric", name, given)))

    assert failed(found) == {COMMON[name][1]}, [r.sentence for r in found if r.sentence]


def test_a_component_that_is_not_there_fails_the_first_check_alone(registry: Registry) -> None:
    """All others are not judged."""
    found = list(results(suite_of(registry, "router", "Rihgt", {})))

    assert failed(found) == {"found"}
    assert 'no router is named "Rihgt"; did you mean "Right"' in found[0].sentence
    assert {result.status for result in found[1:]} == {"skipped"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_check_is_known_to_fail(kind: str) -> None:
    """Each check of each suite has a part that is caught by it; an accelerator is not everywhere."""
    proven = {caught_by(kind, part) for part in parts(kind).values()}

    assert set(checks(suite_class(kind))) - set(checks(Suite)) - {"device"} <= proven
    assert set(checks(Suite)) <= {"found", *(check for _, check in COMMON.values())}
