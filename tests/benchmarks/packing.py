"""What packing leaves out: FLOPs and padded positions, counted on the layers of published models.

The layers are the engine's own, on the meta device: nothing is computed.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from steermoe_core.data.batches import Epochs
from steermoe_core.data.padded import Padded
from steermoe_core.model.config import CausalLMConfig
from steermoe_core.model.decoder import CausalLM
from steermoe_core.model.packing import Packing
from steermoe_core.model.weights import shapes_only
from steermoe_whisper.config import WhisperConfig
from steermoe_whisper.encoder import WhisperEncoder
from tests.benchmarks.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    #: Computes the layers of a tower for values (B,S,D) under a mask (B,1,S,S).
    Layers = Callable[[Tensor, Tensor], Any]

#: Clips a batch, and batches that are sorted together by length.
BATCH, BUCKETS = 8, {"random order": 1, "sorted by length": 16}
#: Positions a second: Whisper's frames; a decoder's audio tokens with the words of English speech.
FRAMES, TOKENS = 50, 12.5 + 4
#: Positions of prompt and end token.
PROMPT = 10


def savings(*, quick: bool) -> Iterator[Figure]:
    """Yield what packed layers compute, as a share of what padded ones do."""
    seconds = librispeech(512 if quick else 4096)
    towers = {
        "Qwen2.5-7B": (decoder(), PROMPT + TOKENS * seconds),
        "Whisper-large-v3, true lengths": (encoder(), FRAMES * seconds),
    }
    for order, bucket in BUCKETS.items():
        batches = list(islice(Epochs(list(seconds), BATCH, bucket, seed=0).batches(0), 4 if quick else 32))
        for tower, ((packed, layers, width), positions) in towers.items():
            lengths = [[int(positions[clip]) for clip in batch] for batch in batches]
            yield _share(f"{tower}, {order}", packed, layers, width, lengths)


def librispeech(count: int) -> NDArray[np.float64]:
    """Return durations like LibriSpeech's: most of 12 to 16 seconds, others shorter, 12 on average."""
    random = np.random.default_rng(0)
    most, others = random.normal(14.4, 1.2, count), random.uniform(1.5, 12.0, count)
    return np.clip(np.where(random.random(count) < 0.68, most, others), 1.5, 17.0)


def decoder() -> tuple[Callable[[Padded], Any], Layers, int]:
    """Return the packed and the padded layers of a language model, and their width."""
    with shapes_only():
        model = CausalLM(CausalLMConfig(weights="Qwen/Qwen2.5-7B-Instruct"))

    def padded(values: Tensor, mask: Tensor) -> Any:
        return model.model.get_decoder()(inputs_embeds=values, attention_mask=mask, use_cache=False)

    return lambda clips: model.packed(clips, []), padded, model.width


def encoder() -> tuple[Callable[[Padded], Any], Layers, int]:
    """Return the same of an encoder."""
    with shapes_only():
        whisper = WhisperEncoder(WhisperConfig(weights="openai/whisper-large-v3", input="true-length"))
    layers, config = whisper.model.layers, whisper.model.config

    def packed(clips: Padded) -> None:
        packing = Packing.of(clips)
        for layer in layers:
            packing.attending(layer, config)(packing.row(clips).values, attention_mask=None)

    def padded(values: Tensor, mask: Tensor) -> None:
        for layer in layers:
            layer(values, attention_mask=mask)

    return packed, padded, whisper.width


def _share(
    name: str, packed: Callable[[Padded], Any], layers: Layers, width: int, batches: list[list[int]]
) -> Figure:
    clip_by_clip = padded = under_a_mask = 0
    for lengths in batches:
        clips = Padded(torch.empty(len(lengths), max(lengths), width, device="meta"), torch.tensor(lengths))
        clip_by_clip += flops(packed, clips)
        padded += flops(layers, clips.values, _mask(*clips.values.shape[:2]))
        row = clips.values.new_empty(1, sum(lengths), width)
        under_a_mask += flops(layers, row, _mask(1, sum(lengths)))
    padding = 1 - sum(map(sum, batches)) / sum(len(lengths) * max(lengths) for lengths in batches)
    detail = (
        f"{padding:.1%} of the padded positions are padding; one mask over a row: {under_a_mask / padded:.3f}"
    )
    return Figure(
        name=f"FLOPs packed / padded, {name}", value=clip_by_clip / padded, bound=1.0, detail=detail
    )


def _mask(rows: int, length: int) -> Tensor:
    return torch.ones(rows, 1, length, length, dtype=torch.bool, device="meta")


@torch.no_grad()
def flops(work: Callable[..., Any], *arguments: Any) -> int:
    """Return the floating-point operations of some work on tensors without values."""
    with FlopCounterMode(display=False) as counter:
        work(*arguments)
    return counter.get_total_flops()
