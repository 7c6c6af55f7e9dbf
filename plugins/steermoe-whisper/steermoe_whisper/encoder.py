"""The Whisper encoder with true lengths: log-mel → two convolutions → positions → layers → final norm."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from steermoe_core.data.padded import Padded
from steermoe_core.errors import SetupError
from steermoe_core.model.encoder import Encoder, Tap, untouched
from steermoe_core.model.packing import Packing
from steermoe_core.model.weights import load, prepared, pretrained
from steermoe_whisper.known import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_whisper.config import WhisperConfig

HOP = 160  # samples between mel frames, 100 a second


class WhisperEncoder(Encoder):
    """A frozen Whisper encoder: 50 frames a second, final layer norm included."""

    sample_rate = 16_000
    max_seconds = 30.0

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        from transformers import WhisperFeatureExtractor, WhisperModel

        self.config = config
        dtype = config.dtype if config.dtype == "auto" else getattr(torch, config.dtype)
        options = {"dtype": dtype, "attn_implementation": config.attention}
        self.model = pretrained(WhisperModel, config.weights, known=MODELS, **options).get_encoder()
        bands = self.model.config.num_mel_bins
        self.extractor = prepared(
            WhisperFeatureExtractor, config.weights, lambda: WhisperFeatureExtractor(feature_size=bands)
        )
        self.width = self.model.config.d_model
        self.layers = self.model.config.encoder_layers
        self.freeze()

    def frames(self, samples: int) -> int:
        """Return ⌈mel frames / 2⌉ of the clip with its tail: at least 1, at most 1500."""
        return (self._mels(samples) + 1) // 2

    def features(self, waveforms: Sequence[np.ndarray]) -> Padded:
        """Return log-mels (B,T,M), 100 frames a second; each clip is normalised by itself."""
        mels = [torch.from_numpy(self._mel(wave)) for wave in waveforms]
        return Padded(Padded.stack(mels).values, torch.tensor([self._mels(len(wave)) for wave in waveforms]))

    def features_of(self, waveforms: Padded) -> Padded:
        rows, lengths = waveforms.rows(), waveforms.host_lengths.tolist()
        longest = self.extractor.n_samples if self.config.input == "30s" else 0
        mels = [
            self._log_mel(F.pad(row[:samples], (0, max(samples, longest) - min(len(row), samples))))
            for row, samples in zip(rows, map(self._samples, lengths), strict=True)
        ]
        return Padded(Padded.stack(mels).values, torch.tensor([self._mels(length) for length in lengths]))

    def forward(self, features: Padded, tap: Tap = untouched) -> Padded:
        model = self.model
        whole = torch.full_like(features.host_lengths, features.values.shape[1])
        mel = features if self.config.input == "true-length" else Padded(features.values, whole)
        first = mel.holding(_convolved(model.conv1, mel.zeroed()))
        # Zeros beyond each clip's end are what a lone clip has there.
        hidden = _convolved(model.conv2, first.zeroed())  # (B,T',D)
        # As in transformers: its encoder scales nothing, whatever `scale_embedding` says.
        # Contiguous: the layers would keep the convolution's order of dimensions and copy it again and again.
        hidden = (hidden + model.embed_positions.weight[: hidden.shape[1]]).contiguous()
        return self.from_layer(0, Padded(hidden, (features.host_lengths + 1) // 2), tap)

    def from_layer(self, first: int, frames: Padded, tap: Tap = untouched) -> Padded:
        """Compute layers and the final norm; where clips are padded to 30 seconds, the padding is seen."""
        given = frames
        if self.packing:
            frames = self._packed(first, frames, tap)
        else:
            mask = None if self.config.input == "30s" else _attention_mask(frames)
            for number in range(first, self.layers):
                compute = partial(self.model.layers[number], attention_mask=mask)
                frames = self.layer(number, compute, frames, tap)
        longest = int(given.host_lengths.max())
        return given.holding(self.model.layer_norm(frames.values[:, :longest]))

    def _packed(self, first: int, frames: Padded, tap: Tap) -> Padded:
        """Return the output of the layers for frames (B,T',D), without computing padding that is not seen."""

        def own(layer: int, clips: Padded) -> Padded:
            return tap(layer, frames.holding(clips.values))

        whole = torch.full_like(frames.host_lengths, frames.values.shape[1])
        seen = Padded(frames.values, whole) if self.config.input == "30s" else frames
        packing = Packing.of(seen)
        row, row_tap = packing.row(seen), packing.tap(tap if tap is untouched else own)  # (1,N,D)
        for number in range(first, self.layers):
            layer = partial(self.model.layers[number], attention_mask=None)
            row = self.layer(number, packing.attending(layer, self.model.config), row, row_tap)
        return packing.clips(row)

    def own_transcripts(self, waveforms: Sequence[np.ndarray]) -> list[str]:
        """Return what Whisper's own decoder writes down: greedily, on clips of 30 seconds, as it was trained.

        A multilingual model hears which language it is.
        """
        whole, tokenizer = self._own
        mels = self.extractor(list(waveforms), sampling_rate=self.sample_rate, return_tensors="pt")
        features = mels.input_features.to(whole.device, whole.dtype)
        task = {"task": "transcribe"} if getattr(whole.generation_config, "is_multilingual", False) else {}
        with torch.no_grad(), _without_advice():
            found = whole.generate(
                features,
                attention_mask=torch.ones_like(features[:, 0]),  # silence is heard too
                do_sample=False,
                num_beams=1,
                return_timestamps=False,
                **task,
            )
        return [text.strip() for text in tokenizer.batch_decode(found, skip_special_tokens=True)]

    @cached_property
    def _own(self) -> tuple[Any, Any]:
        """The whole Whisper and its tokenizer; in a tuple, so that it is no part of this module's state.

        :raises SetupError: there is no tokenizer beside the weights.
        """
        from transformers import AutoTokenizer, WhisperForConditionalGeneration

        tokenizer = load(AutoTokenizer, self.config.weights)
        if not tokenizer.vocab_size:  # transformers makes an empty one
            msg = f"the weights at {self.config.weights!r} have no tokenizer beside them; copy the model's"
            raise SetupError(msg)
        own = next(self.model.parameters())
        whole = load(WhisperForConditionalGeneration, self.config.weights, dtype=own.dtype)
        return whole.eval().to(own.device), tokenizer

    def _log_mel(self, wave: torch.Tensor) -> torch.Tensor:
        """Return the log-mels (T,M) of one clip, as the feature extractor of transformers computes them."""
        points = int(self.extractor.n_fft)
        window = torch.hann_window(points, device=wave.device)
        power = torch.stft(wave, points, HOP, window=window, return_complex=True)[:, :-1].abs().square()
        filters = torch.from_numpy(self.extractor.mel_filters).float().to(wave.device, non_blocking=True)
        mels = (filters.T @ power).clamp_min(1e-10).log10()  # (M,T)
        mels = mels.maximum(mels.max() - 8.0)  # 80 dB below the loudest
        return ((mels + 4.0) / 4.0).T

    @property
    def _tail(self) -> int:
        return round(self.config.tail * self.sample_rate)

    def _samples(self, samples: int) -> int:
        """Return the samples that are computed on: a spectrum needs a whole window, positions end at 30 s."""
        return min(max(samples + self._tail, int(self.extractor.n_fft)), int(self.extractor.n_samples))

    def _mels(self, samples: int) -> int:
        return self._samples(samples) // HOP

    def _mel(self, wave: np.ndarray) -> np.ndarray:
        samples = self._samples(len(wave))
        wave = np.pad(wave[:samples], (0, max(samples - len(wave), 0)))
        padding = "max_length" if self.config.input == "30s" else "do_not_pad"
        found = self.extractor(wave, sampling_rate=self.sample_rate, padding=padding, return_tensors="np")
        return np.ascontiguousarray(found.input_features[0].T, dtype=np.float32)


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep transformers from warning of arguments that its own Whisper passes on to its own generation."""
    logger = logging.getLogger("transformers.generation.utils")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _attention_mask(frames: Padded) -> torch.Tensor:
    """Return what is added to attention scores (B,1,1,T'): 0 at real frames, the lowest number at padding."""
    values = frames.values
    lowest = torch.finfo(values.dtype).min
    return torch.zeros_like(values[:, None, None, :, 0]).masked_fill(~frames.mask[:, None, None, :], lowest)


def _convolved(convolution: nn.Conv1d, hidden: Padded) -> torch.Tensor:
    """Convolve over time, then GELU: (B,T,C) → (B,T',C')."""
    values = hidden.values.to(convolution.weight.dtype)
    # GELU before the second transposition: of a tensor that is not contiguous, torch rounds it otherwise.
    return F.gelu(convolution(values.transpose(1, 2))).transpose(1, 2)
