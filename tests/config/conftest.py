"""A registry of made-up components, so that these tests need no plugin."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

import attrs
import pytest

from steermoe_core.component import Component

HERE = Path(__file__).parent
PARTS = {
    ("encoder", "whisper"): "Whisper",
    ("encoder", "strange"): "Unexpressible",
    ("encoder", "classless"): "NotAttrs",
    ("encoder", "lost"): "NoSuchClass",
    ("adapter", "none"): "Nothing",
    ("adapter", "steering"): "Steering",
    ("router", "softmax"): "Nothing",
    ("router", "topk"): "Topk",
    ("projector", "linear"): "Linear",
    ("decoder", "causal-lm"): "Decoder",
    ("dataset", "folder"): "Folder",
    ("collator", "asr"): "Nothing",
    ("metric", "wer"): "Wer",
    ("metric", "cer"): "Nothing",
    ("callback", "early-stop"): "Nothing",
    ("callback", "gate-log"): "Nothing",
}
#: What some of them say of themselves; the others say nothing.
SAID = {
    ("adapter", "none"): {"gives": (), "groups": {}},
    ("adapter", "steering"): {
        "gives": ("gates",),
        "needs": {"tower": ("layer-taps",)},
        "groups": {"steering": 1e-3, "router": 2e-4},
    },
    ("decoder", "causal-lm"): {"gives": ("layer-taps", "packing")},
    ("callback", "gate-log"): {"needs": {"adapter": ("gates",)}},
}


@attrs.frozen(kw_only=True)
class FakePlugin:
    """What a registry says about a distribution."""

    name: str = "builtin"
    distribution: str = "steermoe"
    version: str = "0.1.0"
    status: str = "active"
    reason: str | None = None
    hint: str = ""
    withheld: tuple = ()

    @property
    def origin(self) -> str:
        """Distribution and version."""
        return f"{self.distribution} {self.version}"


WHISPER = FakePlugin(name="whisper", distribution="steermoe-whisper", version="0.2")
BEATS = FakePlugin(
    name="beats", distribution="steermoe-beats", version="0.1", status="broken",
    hint="pip install torchaudio", reason="ModuleNotFoundError: No module named 'torchaudio'",
)  # fmt: skip


class FakeRegistry:
    """The part of the registry that configuration asks."""

    def __init__(self, *plugins: FakePlugin) -> None:
        self.plugins = plugins

    def find(self, kind: str, name: str) -> Component | None:
        """Return a component or None."""
        if (kind, name) not in PARTS:
            return None
        config = f"steermoe_test_parts:{PARTS[kind, name]}"
        said = SAID.get((kind, name), {})
        return Component(name=name, api=1, summary=name, config=config, factory="none:none", **said)

    get = find

    def names(self, kind: str) -> list[str]:
        """Return the names of a kind."""
        return sorted(name for of, name in PARTS if of == kind)

    def plugin_of(self, kind: str, name: str) -> FakePlugin:
        """Return who offers a component."""
        return WHISPER if (kind, name) == ("encoder", "whisper") else FakePlugin()

    def absent(self, kind: str, name: str) -> list[FakePlugin]:
        """Return the plugins that may have it."""
        return [plugin for plugin in self.plugins if plugin.status != "active"]

    def suggest(self, kind: str, name: str) -> str | None:
        """Return a name that is meant."""
        return next(iter(difflib.get_close_matches(name, self.names(kind))), None)


def _import_parts() -> None:
    """Make parts.py importable by name, as a plugin's module is."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("steermoe_test_parts", HERE / "parts.py")
    module = module_from_spec(spec)
    sys.modules["steermoe_test_parts"] = module
    spec.loader.exec_module(module)


_import_parts()


@pytest.fixture
def registry() -> FakeRegistry:
    """Return a registry in which one plugin is broken."""
    return FakeRegistry(FakePlugin(), WHISPER, BEATS)


MINIMAL = """\
[experiment]
name = "tiny"
[encoder]
use = "whisper"
weights = "w"
[decoder]
use = "causal-lm"
weights = "d"
[data.train]
use = "folder"
path = "clips"
[data.eval.dev]
use = "folder"
path = "clips"
[train]
steps = 10
"""


@pytest.fixture
def minimal(tmp_path: Path) -> Path:
    """Return a small complete experiment file."""
    path = tmp_path / "tiny.toml"
    path.write_text(MINIMAL)
    return path
