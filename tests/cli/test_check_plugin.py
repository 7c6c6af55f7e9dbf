"""`steermoe check-plugin`: the checks of all that a distribution offers, as a table or as facts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main
from tests.parts import save_decoder

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Site

#: Two metrics, of which one gives words back.
PLUGIN = '''
import attrs
from steermoe_core import Component, hookimpl

@attrs.frozen(kw_only=True)
class Settings:
    """What is charged.

    :param price: of a wrong answer.
    """

    price: int = 1

@hookimpl
def steermoe_metrics():
    for name in ("fair", "generous"):
        factory = f"fake_prices_metrics:{name}"
        yield Component(name=name, api=1, summary="", config="fake_prices:Settings", factory=factory)
'''
METRICS = """
from steermoe_core import Edits, Metric

print("an import that talks")

class Price(Metric):
    name = "price"

    def __init__(self, config, discount):
        self.price, self.discount = config.price, discount

    def edits(self, prediction):
        wrong = prediction.hypothesis != prediction.reference
        return Edits(self.price * wrong, 0, self.discount, self.price)

def fair(config):
    return Price(config, 0)

def generous(config):
    return Price(config, -1)
"""


@pytest.fixture
def prices(site: Site) -> Site:
    """Return a site with the two metrics."""
    site.add("prices", PLUGIN)
    (site.folder / "fake_prices_metrics.py").write_text(METRICS)
    return site


def facts(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict]:
    """Return the exit code and what the command prints as JSON."""
    code = main(["check-plugin", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("prices")
def test_a_failure_is_a_sentence_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Every check of every part is there; one failure is exit code 1."""
    assert main(["check-plugin", "steermoe-prices"]) == 1

    out = capsys.readouterr().out
    assert "metric fair" in out
    assert "metric generous" in out
    words = " ".join(out.split())
    assert "counts failed edits() of 'yes' for 'yes' counts -1 insertions, expected a whole number" in words
    assert "28 checks, 1 failed, 5 skipped" in words
    assert "an import that talks" not in out


@pytest.mark.usefixtures("prices")
def test_one_component_with_settings(capsys: pytest.CaptureFixture[str]) -> None:
    """The plugin's name will do; a setting goes to the parts that have its key."""
    code, found = facts(capsys, "prices", "--only", "metric", "fair", "--set", "price=3")

    assert (code, found["ok"], found["distribution"]) == (0, True, "steermoe-prices")
    assert {(check["kind"], check["name"]) for check in found["checks"]} == {("metric", "fair")}
    assert {check["status"] for check in found["checks"]} == {"ok"}


@pytest.mark.usefixtures("prices")
def test_facts_name_every_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """Kind, name, check, status, sentence and seconds."""
    code, found = facts(capsys, "prices")

    (wrong,) = [check for check in found["checks"] if check["status"] == "failed"]
    assert (code, found["ok"]) == (1, False)
    assert (wrong["name"], wrong["check"]) == ("generous", "counts")
    assert wrong["sentence"].endswith('(metric "generous", fake_prices_metrics:generous)')


@pytest.mark.usefixtures("prices")
@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (
            ["steermoe-prizes"],
            2,
            'no installed plugin is named steermoe-prizes; did you mean "steermoe-prices"?',
        ),
        (["prices", "--only", "metrik", "fair"], 2, 'there is no kind "metrik"; did you mean "metric"?'),
        (["prices", "--only", "metric", "fare"], 3, 'no metric is named "fare"; did you mean "fair"'),
        (
            ["prices", "--only", "metric", "wer"],
            2,
            'metric "wer" belongs to steermoe: steermoe check-plugin steermoe --only metric wer',
        ),
        (
            ["prices", "--set", "prize=1"],
            2,
            '--set prize: no checked component has that key; did you mean "price"?',
        ),
        (["prices", "--set", "price"], 2, "write KEY=VALUE once for each key"),
        (["prices", "--set", "price=1", "--set", "price=2"], 2, "once for each key"),
        (["prices", "--block", "prices"], 3, '"prices" (steermoe-prices 1.0) is blocked'),
    ],
)
def test_wrong_usage(words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence each, and nothing is checked."""
    assert main(["check-plugin", *words]) == code
    out, err = capsys.readouterr()
    assert message in err
    assert not out


def test_a_quarantined_plugin(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Its reason, and exit code 3."""
    site.add("odd", "raise RuntimeError('boom')")

    assert main(["check-plugin", "odd"]) == 3
    assert (
        '"odd" (steermoe-odd 1.0) is broken: its import failed: RuntimeError: boom' in capsys.readouterr().err
    )


def test_settings_that_cannot_be_read(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """A check says so; the command does not stumble."""
    site.add("prices", PLUGIN.replace("fake_prices:Settings", "nowhere:Gone"))

    code, found = facts(capsys, "prices", "--only", "metric", "fair")

    assert code == 1
    assert [check["check"] for check in found["checks"] if check["status"] == "failed"] == ["settings_class"]


def test_settings_without_a_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are asked for by name; given as text, they need no quotes."""
    words = ("steermoe", "--only", "decoder", "causal-lm")
    code, found = facts(capsys, *words)
    (wrong,) = [check for check in found["checks"] if check["status"] == "failed"]
    assert (code, wrong["check"]) == (1, "builds")
    assert 'the key "weights" is missing' in wrong["sentence"]

    code, found = facts(capsys, *words, "--set", f"weights={save_decoder(tmp_path)}")
    assert code == 0
