"""Parts whose code cannot be imported are told before a run writes anything, with the place that asks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main
from steermoe_core.config.resolve import resolve
from steermoe_core.errors import PluginError, SetupError
from steermoe_core.plugins import load_registry
from steermoe_core.run.assembly.parts import check_imports, selections

if TYPE_CHECKING:
    from tests.rig import Rig

PART = """
from steermoe_core import Component, hookimpl

@hookimpl
def steermoe_routers():
    yield Component(
        name="odd", api=1, summary="", config="steermoe_core.model.config:SoftmaxRouterConfig",
        factory="fake_part:Router",
    )

@hookimpl
def steermoe_callbacks():
    config = "steermoe_core.testing.config:TinyConfig"
    yield Component(name="odd", api=1, summary="", config=config, factory="fake_part:Callback")
"""


def odd(rig: Rig, code: str) -> None:
    """Install a router and a callback with this code behind them, and let the experiment use both."""
    rig.site.add("odd", PART)
    (rig.site.folder / "fake_part.py").write_text(code)
    sys.modules.pop("fake_part", None)
    text = rig.file.read_text()
    text = text.replace(
        '[adapter]\nuse = "steering"', '[adapter]\nuse = "steering"\nrouter = { use = "odd" }'
    )
    rig.file.write_text(f'{text}\n[[callbacks]]\nuse = "odd"\n')


def test_every_part_is_found(rig: Rig) -> None:
    """Parts inside other parts, in lists and in tables of any name."""
    experiment = resolve(rig.file, [], load_registry()).experiment

    found = {path: (one.kind, one.name) for path, one in selections(experiment)}

    assert found["adapter", "router"] == ("router", "softmax")
    assert found["data", "eval", "other"] == ("dataset", "folder")
    assert found["metrics", 1] == ("metric", "cer")
    assert found["callbacks", 0] == ("callback", "rig")


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (
            "import torchodyo",
            "it needs the module torchodyo, which is not installed; `pip install torchodyo`",
        ),
        ("1 / 0", "its import failed: ZeroDivisionError: division by zero ("),
        ("", "its import failed: AttributeError: module 'fake_part' has no attribute 'Router'"),
        ("raise SystemExit(0)", "its import failed: ImportError: fake_part ends the program: SystemExit(0)"),
    ],
)
def test_all_are_told_with_their_places(
    code: str, why: str, rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3, a line for each, and no run folder."""
    odd(rig, code)

    assert main(["run", *rig.words()]) == 3

    err = capsys.readouterr().err
    assert f'tiny.toml:10: the code of router "odd" (steermoe-odd 1.0) cannot be used: {why}' in err
    assert err.count("cannot be used") == 2
    assert "Traceback" not in err
    assert not rig.runs.exists()


def test_a_part_that_says_itself_what_it_lacks(rig: Rig) -> None:
    """Its own sentence and exit code are kept."""
    odd(rig, "from steermoe_core.errors import SetupError\nraise SetupError('no licence here')")
    registry = load_registry()

    with pytest.raises(SetupError, match="no licence here"):
        check_imports(resolve(rig.file, [], registry), registry)


def test_a_default_part_has_no_line(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody wrote it, it is said whose default it is."""
    monkeypatch.setitem(sys.modules, "steermoe_core.model.routers", None)
    registry = load_registry()

    with pytest.raises(PluginError, match=r'^default of .*: the code of router "softmax" \(steermoe '):
        check_imports(resolve(rig.file, [], registry), registry)
