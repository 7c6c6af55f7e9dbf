"""The conformance kit: what must hold for every plugin of a kind, as one importable test suite a kind.

    # tests/test_conformance.py of a plugin
    from steermoe_core.testing import EncoderSuite

    class TestMyEncoder(EncoderSuite):
        component = "my-encoder"
        settings = {"layers": 2}

pytest runs it like any other class of tests; ``steermoe check-plugin`` runs the same checks without pytest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steermoe_core.testing.adapters import AdapterSuite
    from steermoe_core.testing.augmentations import AugmentationSuite
    from steermoe_core.testing.callbacks import CallbackSuite
    from steermoe_core.testing.collators import CollatorSuite
    from steermoe_core.testing.commands import CommandSuite
    from steermoe_core.testing.datasets import DatasetSuite
    from steermoe_core.testing.decoders import DecoderSuite
    from steermoe_core.testing.encoders import EncoderSuite
    from steermoe_core.testing.launchers import LauncherSuite
    from steermoe_core.testing.metrics import MetricSuite
    from steermoe_core.testing.projectors import ProjectorSuite
    from steermoe_core.testing.routers import RouterSuite
    from steermoe_core.testing.weights import WeightsSuite

__all__ = [
    "AdapterSuite",
    "AugmentationSuite",
    "CallbackSuite",
    "CollatorSuite",
    "CommandSuite",
    "DatasetSuite",
    "DecoderSuite",
    "EncoderSuite",
    "LauncherSuite",
    "MetricSuite",
    "ProjectorSuite",
    "RouterSuite",
    "WeightsSuite",
]


def __getattr__(name: str) -> Any:
    """Import a suite on first use: that of the metrics needs no torch."""
    if name not in __all__:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    kind = name.removesuffix("Suite").lower()
    module = import_module(f"{__name__}.{kind if kind == 'weights' else f'{kind}s'}")
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
