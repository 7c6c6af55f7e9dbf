"""What the tests of the plugin host share: plugins broken in every way, and a look at one plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from steermoe_core.plugins import Plugin, Registry

COMPONENT = 'Component(name="odd", api={api}, summary="", config="a:B", factory="a:b")'
HEAD = "from steermoe_core import Component, hookimpl\n"


#: Source, parts of the reason, part of the hint.
BROKEN = {
    "raises": ("raise RuntimeError('boom')", ["RuntimeError: boom", "fake_odd.py:1"], "steermoe-odd"),
    "exits": ("raise SystemExit(3)", ["SystemExit: 3"], "steermoe-odd"),
    "base exception": ("raise BaseException('worst')", ["BaseException: worst"], ""),
    "syntax": ("def f(:\n", ["SyntaxError", "fake_odd.py, line 1"], ""),
    "missing dependency": (
        "import torchodyo.fun",
        ["needs the module torchodyo", "not installed"],
        "torchodyo",
    ),
    "newer steermoe": (
        "import steermoe_core.later",
        ["steermoe_core.later", "does not have"],
        "whichever is older",
    ),
    "moved name": ("from steermoe_core import Gone", ["cannot import name 'Gone'"], ""),
    "no hook": ("x = 1", ["no hook"], "steermoe_encoders"),
    "too new": (
        HEAD + "@hookimpl\ndef steermoe_encoders():\n  yield " + COMPONENT.format(api=99),
        ["contract 99", "newer than 1"],
        "upgrade steermoe",
    ),
    "too old": (
        HEAD + "@hookimpl\ndef steermoe_encoders():\n  yield " + COMPONENT.format(api=0),
        ["contract 0", "older than 1"],
        "upgrade steermoe-odd",
    ),
    "misspelt hook": (
        HEAD + "@hookimpl\ndef steermoe_encoder():\n  yield",
        ["no hook steermoe_encoder;", 'did you mean "steermoe_encoders"'],
        "rename it",
    ),
    "hook of the future": (
        HEAD + "@hookimpl\ndef zebra():\n  yield",
        ["no hook zebra in"],
        "upgrade steermoe",
    ),
    "undecorated": ("def steermoe_metrics():\n  yield", ["steermoe_metrics is not marked"], "add @hookimpl"),
    "undecorated and misspelt": (
        "def steermoe_metric():\n  yield",
        ['like the hook "steermoe_metrics"'],
        "rename",
    ),
    "wrong arguments": (
        HEAD + "@hookimpl\ndef steermoe_encoders(registry):\n  yield",
        ["takes registry", "no arguments"],
        "write def steermoe_encoders()",
    ),
    "wrong life-cycle arguments": (
        HEAD + "@hookimpl\ndef steermoe_before_run(folder, *, verbose): ...",
        ["takes verbose", "only folder"],
        "write def steermoe_before_run(folder)",
    ),
    "wrapper": (
        HEAD + "@hookimpl(wrapper=True)\ndef steermoe_encoders():\n  return (yield)",
        ["is a wrapper"],
        "",
    ),
    "hook raises": (
        HEAD + "@hookimpl\ndef steermoe_encoders():\n  yield 1 / 0",
        ["steermoe_encoders raised ZeroDivisionError", "fake_odd.py:4"],
        "",
    ),
    "hook exits": (HEAD + "@hookimpl\ndef steermoe_encoders():\n  exit(1)", ["SystemExit"], ""),
    "yields text": (
        HEAD + "@hookimpl\ndef steermoe_encoders():\n  yield 'whisper'",
        ["yielded str 'whisper' instead of a Component"],
        "Component records",
    ),
    "returns nothing": (
        HEAD + "@hookimpl\ndef steermoe_encoders(): ...",
        ["returned NoneType"],
        "yield each",
    ),
    "returns one": (
        HEAD + "@hookimpl\ndef steermoe_encoders():\n  return " + COMPONENT.format(api=1),
        ["returned Component instead of Components"],
        "yield each",
    ),
    "wrong record": (
        HEAD + "@hookimpl\ndef steermoe_encoders():\n  yield Component(name='x', provides=1)",
        ["TypeError", "provides"],
        "",
    ),
    "same name twice": (
        HEAD
        + "@hookimpl\ndef steermoe_encoders():\n  c = "
        + COMPONENT.format(api=1)
        + "\n  yield c\n  yield c",
        ['offers the encoder "odd" twice'],
        "rename",
    ),
    "name of a built-in": (
        HEAD
        + "@hookimpl\ndef steermoe_adapters():\n  yield "
        + COMPONENT.format(api=1).replace("odd", "none"),
        ['adapter "none" has the name of a built-in'],
        "rename",
    ),
}


def plugin(registry: Registry, name: str) -> Plugin:
    """Return the only plugin of a name."""
    (found,) = [one for one in registry.plugins if one.name == name]
    return found
