"""The gates of a model's routers over a recording: which expert steers which moment, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from steermoe_core import Segment, Transcriber

    Shares = NDArray[np.float32]


@attrs.frozen(eq=False)
class Span:
    """The experts of one layer over a span of a recording.

    :param start: of the span, in seconds.
    :param end: of the span, in seconds.
    :param shares: (T,E) of each expert in the shift of each frame, from 0 to 1.
    """

    start: float
    end: float
    shares: Shares


@attrs.frozen(eq=False)
class Layer:
    """A routed layer.

    :param name: as routing tables name it.
    :param spans: of the recording, in its order; silent ones are left out.
    """

    name: str
    spans: list[Span]

    @property
    def experts(self) -> int:
        """How many experts it has."""
        return int(self.spans[0].shares.shape[1])


@torch.no_grad()
def routing(model: Transcriber, waveform: NDArray[np.float32], segments: Sequence[Segment]) -> list[Layer]:
    """Return what the routers of the encoder do; nothing where it has none, or none with a choice.

    Routers of the language model are left out: its positions are not moments of the recording.

    :param waveform: (samples,) at the rate of the encoder.
    :param segments: the recording's, as it was transcribed.
    """
    encoder, adapter = model.model.encoder, model.model.adapter
    device = next(model.model.parameters()).device
    found: dict[int, list[Span]] = {}
    adapter.watch()
    for segment in segments:
        if segment.stop == "silence":
            continue
        wave = waveform[round(segment.start * encoder.sample_rate) : round(segment.end * encoder.sample_rate)]
        gates = _gates(model, encoder.features([wave]).to(device))
        for row, values in gates.items():
            shares = _shares(values[: encoder.frames(len(wave))])
            found.setdefault(row, []).append(Span(segment.start, segment.end, shares))
    names = [str(record["layer"]) for record in adapter.statistics() if "load" in record]
    layers = [Layer(names[row], spans) for row, spans in sorted(found.items())]
    return [layer for layer in layers if layer.experts > 1]


def _gates(model: Transcriber, features: Any) -> dict[int, torch.Tensor]:
    """Return the gates (T,E) of each routed layer, padding included, by its row."""
    found: dict[int, torch.Tensor] = {}

    def keep(row: int, gates: torch.Tensor) -> torch.Tensor:
        found[row] = gates[0]  # (B,T,E) → (T,E)
        return gates

    with model.model.adapter.rerouted(keep):
        model.model.frames(features)
    return found


def _shares(gates: torch.Tensor) -> Shares:
    sizes = gates.float().abs()  # (T,E)
    shares: Shares = (sizes / sizes.sum(-1, keepdim=True).clamp_min(1e-12)).cpu().numpy()
    return shares
