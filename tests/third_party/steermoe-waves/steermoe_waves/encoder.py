"""Waveform → convolutions → projection → positions → layers, each of them tapped → final norm."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from steermoe_core import Encoder, Padded, SetupError, Tap, prepared, pretrained, untouched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_waves.config import WavesConfig

#: Families that this encoder knows, by `model_type`.
FAMILIES = ("hubert", "wav2vec2")
#: A number of samples, or a tensor (B,) of such numbers.
Lengths = TypeVar("Lengths", int, torch.Tensor)


class WavesEncoder(Encoder):
    """A frozen encoder of raw waveforms, final layer norm included.

    :raises SetupError: there are no such weights, or they are those of another kind of model.
    """

    def __init__(self, config: WavesConfig) -> None:
        super().__init__()
        from transformers import AutoFeatureExtractor, AutoModel, Wav2Vec2FeatureExtractor

        dtype = config.dtype if config.dtype == "auto" else getattr(torch, config.dtype)
        self.model = pretrained(AutoModel, config.weights, dtype=dtype)
        _check(self.model.config, config.weights)
        self.extractor = prepared(AutoFeatureExtractor, config.weights, Wav2Vec2FeatureExtractor)
        self.sample_rate = self.extractor.sampling_rate
        self.max_seconds = config.max_seconds
        self.width = self.model.config.hidden_size
        self.layers = self.model.config.num_hidden_layers
        self.shortest = _samples_of_one_frame(self._convolutions)
        self.freeze()

    def frames(self, samples: int) -> int:
        """Return what the convolutions leave: one frame at least, for a short clip is lengthened to it."""
        return self._convolved(max(samples, self.shortest))

    def features(self, waveforms: Sequence[np.ndarray]) -> Padded:
        """Return the samples (B,T), each clip normalised by itself if the checkpoint wants that."""
        return Padded.stack([torch.from_numpy(self._normalised(wave)) for wave in waveforms])

    def forward(self, features: Padded, tap: Tap = untouched) -> Padded:
        model = self.model
        convolved = model.feature_extractor(features.zeroed().values.to(model.dtype)).transpose(1, 2)
        projected = model.feature_projection(convolved)
        values = projected[0] if isinstance(projected, tuple) else projected  # wav2vec 2.0: with its input
        # The positions come from a wide convolution: zeros beyond a clip's end are what it has there alone.
        frames = Padded(values, self._convolved(features.lengths)).zeroed()  # (B,T',D)
        frames = Padded(frames.values + model.encoder.pos_conv_embed(frames.values), frames.lengths)
        mask = _attention_mask(frames)
        for number, layer in enumerate(model.encoder.layers):
            frames = self.layer(number, partial(layer, attention_mask=mask), frames, tap)
        return Padded(model.encoder.layer_norm(frames.values), frames.lengths)

    @property
    def _convolutions(self) -> list[tuple[int, int]]:
        """Kernel and stride of each convolution."""
        return list(zip(self.model.config.conv_kernel, self.model.config.conv_stride, strict=True))

    def _convolved(self, lengths: Lengths) -> Lengths:
        for kernel, stride in self._convolutions:
            lengths = (lengths - kernel) // stride + 1
        return lengths

    def _normalised(self, wave: np.ndarray) -> np.ndarray:
        wave = np.pad(wave, (0, max(self.shortest - len(wave), 0)))
        found = self.extractor(wave, sampling_rate=self.sample_rate, return_tensors="np").input_values[0]
        return np.ascontiguousarray(found, dtype=np.float32)


def _check(config: Any, weights: str) -> None:
    """Refuse models whose padding would be heard, and those that are wired in another way.

    :raises SetupError: says why.
    """
    if config.model_type not in FAMILIES:
        reason = f"it is of the family {config.model_type}, not {' or '.join(FAMILIES)}"
    elif config.feat_extract_norm != "layer":
        reason = "its first norm is over time, so a clip would hear its padding (feat_extract_norm)"
    elif not config.do_stable_layer_norm:
        reason = "its layers norm last (do_stable_layer_norm is false)"
    elif getattr(config, "add_adapter", False) or getattr(config, "conv_pos_batch_norm", False):
        reason = "it has convolutions behind its layers, or a batch norm before its positions"
    else:
        return
    msg = f'the encoder "waves" cannot use {weights!r}: {reason}'
    raise SetupError(msg)


def _samples_of_one_frame(convolutions: Sequence[tuple[int, int]]) -> int:
    samples = 1
    for kernel, stride in reversed(convolutions):
        samples = (samples - 1) * stride + kernel
    return samples


def _attention_mask(frames: Padded) -> torch.Tensor:
    """Return what is added to attention scores (B,1,1,T): 0 at real frames, the lowest number at padding."""
    zeros = torch.zeros_like(frames.values[:, None, None, :, 0])
    return zeros.masked_fill(~frames.mask[:, None, None, :], torch.finfo(zeros.dtype).min)
