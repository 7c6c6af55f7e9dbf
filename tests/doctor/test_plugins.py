"""What the doctor says of plugins: each way to be broken has its finding, and each finding a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from steermoe_core.doctor.finding import exit_code
from steermoe_core.doctor.plugins import plugins
from steermoe_core.plugins import load_registry
from tests.host import BROKEN
from tests.kinds import KINDS, SLOW

if TYPE_CHECKING:
    from conftest import Site

    from steermoe_core.doctor.finding import Finding
    from tests.kinds import Kind


def of(code: str, *, block: tuple[str, ...] = ()) -> list[Finding]:
    """Return the findings of a code."""
    return [finding for finding in plugins(load_registry(block)) if finding.code == code]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_of_plugin_has_its_finding(
    kind: Kind, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error for what stops a command that needs it, a warning for what is slow, nothing for prints."""
    monkeypatch.setattr("steermoe_core.plugins.plugin.SLOW", SLOW / 2)
    if kind.status == "broken":  # one that never ends is given up sooner
        monkeypatch.setenv("STEERMOE_PLUGIN_TIMEOUT", "1")
    kind.write(site)

    found = [finding for finding in plugins(load_registry()) if "odd" in finding.what]

    assert kind.code in [None, *(finding.code for finding in found)]
    assert bool(exit_code(found)) == (kind.stops != "none")


@pytest.mark.parametrize("case", BROKEN)
def test_every_finding_has_a_command(case: str, site: Site) -> None:
    """The plugin's own hint if it has one, or else how to do without the plugin."""
    site.add("odd", BROKEN[case][0])

    (finding,) = of("plugin-broken")

    assert finding.mend.count("`") >= 2
    assert "odd" in finding.mend or "steermoe" in finding.mend
    assert exit_code([finding]) == 3


def test_the_place_of_a_fault(site: Site) -> None:
    """The last line of the plugin's own code that was reached; without one, its folder."""
    site.add("odd", "import json\n\njson.loads('{')")
    site.add("even", "x = 1")

    places = {finding.what[1:4]: finding.where for finding in of("plugin-broken")}

    assert places["odd"] == f"{site.folder}/fake_odd.py:3"
    assert places["eve"] == str(site.folder)


def test_a_missing_package_is_named_as_the_plugin_requires_it(site: Site) -> None:
    """The package may be called otherwise than its module, and the plugin says which version it wants."""
    site.add("odd", "import cv2odyo")
    metadata = site.folder / "steermoe_odd-1.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text() + "Requires-Dist: torchodyo-headless>=4\nRequires-Dist: attrs\n")

    (finding,) = of("plugin-broken")

    assert (
        "needs the module cv2odyo of the package torchodyo-headless>=4, which is not installed"
        in finding.what
    )
    assert finding.mend == "`pip install 'torchodyo-headless>=4'`"
    assert of("plugin-requirement") == []  # it is told once


@pytest.mark.parametrize(
    ("requirement", "what"),
    [
        ("torchodyo", "requires torchodyo, and it is not installed"),
        ("attrs>=9999", "requires attrs>=9999, and "),
        ('attrs>=9999; python_version < "3"', None),
        ('torchodyo; extra == "more"', None),
        ("no such: line", None),
        ("attrs>=1", None),
    ],
)
def test_requirements_of_plugins(requirement: str, what: str | None, site: Site) -> None:
    """Missing or of another version; what belongs to an extra or to another Python is none of them."""
    site.healthy("odd")
    metadata = site.folder / "steermoe_odd-1.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text() + f"Requires-Dist: {requirement}\n")

    found = [finding for finding in of("plugin-requirement") if "steermoe-odd" in finding.what]

    assert len(found) == (what is not None)
    assert all(str(what) in finding.what and "`pip install " in finding.mend for finding in found)


def test_blocked_plugins_are_notes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user blocked them; a name that blocks nothing is a warning."""
    site.healthy("odd")
    monkeypatch.setenv("STEERMOE_BLOCK", "odd,elsewhere")

    metadata = site.folder / "steermoe_odd-1.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text() + "Requires-Dist: torchodyo\n")

    assert [finding.level for finding in of("plugin-blocked")] == ["note"]
    assert not [finding for finding in of("plugin-requirement") if "odd" in finding.what]
    assert [finding.level for finding in of("block-unknown")] == ["warning"]
