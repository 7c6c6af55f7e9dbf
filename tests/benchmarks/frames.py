"""Kept frames: what a step that reads them leaves out, and the disk space that they take."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from steermoe_core.config.resolve import resolve
from steermoe_core.model.weights import shapes_only
from steermoe_core.plugins import load_registry
from steermoe_core.run.assembly.builder import Builder, audio_tokens
from steermoe_core.run.training.frames import FrameStore
from tests.benchmarks.figure import Figure, fastest
from tests.benchmarks.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.data.example import Example

#: The projection alone, and steering of the upper two of the encoder's four layers: share of layers computed.
VARIANTS = {
    "linear alone": (["adapter.use=none", "callbacks=[]"], 0.0),
    "steering of the upper half": (["adapter.layers=[2,3]"], 0.5),
}
#: The losses are those of a run that computes the frames.
SAME = 1e-4
#: What a step with kept frames may cost of one without; one repeat beside other work is less exact.
COST, QUICK_COST = 1.0, 1.2
PAPER = Path(__file__).parents[2] / "experiments" / "paper" / "whisper_linear_librispeech.toml"
#: LibriSpeech, and what its frames may take, in gigabytes.
HOURS, GIGABYTES = 460, 55.0


def kept(*, quick: bool) -> Iterator[Figure]:
    """Yield the step and its encoder layers with kept frames as a share of those without, and the space."""
    yield _full_size()
    for name, (overrides, layers) in VARIANTS.items():
        lab = Lab(f"train.steps={2 if quick else 4}", *overrides)
        with TemporaryDirectory() as folder:
            yield from _kept(name, lab, Path(folder), layers, quick=quick)


def _kept(name: str, lab: Lab, folder: Path, layers: float, *, quick: bool) -> Iterator[Figure]:
    computed, stored = lab.examples, {}
    for dtype in ("float32", "bfloat16"):
        store = FrameStore(lab.model, lab.experiment.encoder, "benchmark", dtype)
        store.folder = folder / dtype
        numbers = lab.trainer(folder).example_numbers()
        stored[dtype] = store.keep(computed, numbers, lab.collator)
    seconds = sum(computed[number].seconds for number in numbers)
    whole, half = (sum(one.stat().st_size for one in (folder / dtype).glob("*.frames")) for dtype in stored)
    losses = [_trained(lab, examples)[1] for examples in (computed, stored["float32"])]
    assert losses[1] == pytest.approx(losses[0], rel=SAME)
    times = fastest(
        1 if quick else 3,
        computed=lambda: _trained(lab, computed)[0],
        kept=lambda: _trained(lab, stored["bfloat16"])[0],
    )
    calls = [_layers(lab, examples) for examples in (computed, stored["float32"])]
    yield Figure(
        name=f"encoder layers with kept frames / without, {name}",
        value=calls[1] / calls[0],
        bound=layers,
        detail=f"{calls[1]} and {calls[0]} in {len(losses[0])} steps",
    )
    yield Figure(
        name=f"step with kept frames / without, {name}",
        value=times["kept"] / times["computed"],
        bound=QUICK_COST if quick else COST,
        detail=f"{times['kept']:.2f} s and {times['computed']:.2f} s for {len(losses[0])} steps",
    )
    yield Figure(
        name=f"kept frames in bf16 / fp32, {name}",
        value=half / whole,
        bound=0.5,
        detail=f"{half / seconds / 1000:.1f} kB and {whole / seconds / 1000:.1f} kB for a second of speech",
    )


def _full_size() -> Figure:
    """Return the space that the full-size projection takes, from its shapes."""
    registry = load_registry()
    with shapes_only():
        model = Builder(resolve(PAPER, [], registry).experiment, registry).model()
    tokens = audio_tokens(model.encoder, model.projector, 30.0) / 30.0
    gigabytes = HOURS * 3600 * tokens * model.encoder.width * 2 / 1e9
    return Figure(
        name=f"kept frames of {HOURS} h, GB, full-size projection",
        value=gigabytes,
        bound=GIGABYTES,
        detail=f"{tokens:g} frames a second × {model.encoder.width} × 2 bytes",
    )


def _trained(lab: Lab, examples: Sequence[Example]) -> tuple[list[float], list[float]]:
    """Train on some examples; return the CPU seconds and the loss of each step."""
    lab.examples = examples
    return lab.train()


def _layers(lab: Lab, examples: Sequence[Example]) -> int:
    """Return how many layers of the encoder a training run computes."""
    encoder, calls = lab.model.encoder, []
    compute = encoder.layer

    def counted(*arguments: Any) -> Any:
        calls.append(arguments[0])
        return compute(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder, "layer", counted)
        _trained(lab, examples)
    return len(calls)
