"""`steermoe matrix`: which components work together, as they declare it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main

if TYPE_CHECKING:
    from conftest import Site

PARTS = """
from steermoe_core import Component, hookimpl

def part(name, **said):
    return Component(name=name, api=1, summary="", config="nowhere:C", factory="nowhere:f", **said)

@hookimpl
def steermoe_encoders():
    yield part("open", gives=("layer-taps",))
    yield part("closed", gives=())
    yield part("old")
"""


@pytest.fixture
def parts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install an encoder that can be tapped, one that cannot, and one that says nothing."""
    monkeypatch.setenv("COLUMNS", "200")
    site.add("parts", PARTS)


def cells(capsys: pytest.CaptureFixture[str], *kinds: str) -> dict:
    """Return what works, by the names of both parts."""
    assert main(["matrix", *kinds, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [facts["rows"], facts["columns"]] == list(kinds)
    return {tuple(cell[kind] for kind in kinds): cell for cell in facts["cells"]}


def test_json(parts: None, capsys: pytest.CaptureFixture[str]) -> None:
    """True, false with what lacks, or null where nobody knows; the same from either side."""
    found = cells(capsys, "adapter", "encoder")
    assert found["steering", "open"]["works"] is True
    assert found["steering", "closed"] == {
        "adapter": "steering", "encoder": "closed", "works": False, "lacks": ["layer-taps"],
    }  # fmt: skip
    assert found["steering", "old"]["works"] is None
    assert found["none", "closed"]["works"] is True

    turned = cells(capsys, "encoder", "adapter")
    assert {(row, column): cell["works"] for (column, row), cell in turned.items()} == {
        names: cell["works"] for names, cell in found.items()
    }


def test_table(parts: None, capsys: pytest.CaptureFixture[str]) -> None:
    """A row a part, and below what lacks."""
    assert main(["matrix", "encoder", "adapter"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    place = lines[0].index("steering") - len(["encoder", "\\"])
    assert {line[0]: line[place] for line in lines if line[0] in ("open", "closed", "old")} == {
        "open": "yes", "closed": "no", "old": "?",
    }  # fmt: skip
    assert ["encoder", "closed", "and", "adapter", "steering:", "lacks", "layer-taps"] in lines


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        (["encodr", "adapter"], 'no kind "encodr"; did you mean "encoder"?'),
        (["router", "dataset"], "no router needs anything of a dataset"),
    ],
)
def test_kinds_that_have_nothing_to_do_with_one_another(
    kinds: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Misspelt, or strangers: a usage error that names the pairs there are."""
    assert main(["matrix", *kinds]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "no kind" in err or "adapter encoder" in err


def test_what_is_no_here_is_refused_by_check(
    site: Site, parts: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the place of the part that needs more, before anything is loaded."""
    module = site.folder / "fake_parts.py"
    module.write_text(module.read_text().replace("nowhere:C", "steermoe_core.model.config:NoAdapterConfig"))
    file = site.folder / "x.toml"
    source = '{ use = "folder", path = "." }'
    file.write_text(
        f'experiment.name = "x"\nencoder.use = "closed"\ntrain.steps = 1\ndata.train = {source}\n'
        f'data.eval.all = {source}\ndecoder = {{ use = "causal-lm", weights = "none" }}\n'
        'adapter.use = "steering"\n'
    )
    assert main(["check", str(file)]) == 2
    err = capsys.readouterr().err
    assert f"{file}:7:16  error[E304]" in err
    assert "encoders with layer-taps: " in err
    assert main(["check", str(file), "--set", "encoder.use=open"]) == 0
    assert main(["check", str(file), "--set", "encoder.use=old"]) == 0
