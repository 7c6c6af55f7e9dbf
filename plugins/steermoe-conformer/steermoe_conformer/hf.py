"""The encoder `hf`: any audio model of transformers whose layers stand in a row, frozen and tapped.

Clips of a batch may not see one another, nor the padding between them. Most models of transformers are
careless there: a group norm over time, a convolution without a mask. Families that are known to be right
are computed together; of all the others every clip is computed alone, which is slower and right.
"""

from __future__ import annotations

import warnings
from bisect import bisect_left
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import torch
from torch import nn

from steermoe_core.data.padded import Padded
from steermoe_core.errors import SetupError
from steermoe_core.model.encoder import Encoder, Tap, untouched
from steermoe_core.model.weights import load, pretrained

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from steermoe_conformer.config import HfConfig

#: Families that respect masks everywhere, by `model_type`.
_MASKED = frozenset({"parakeet_encoder", "wav2vec2-bert", "lasr_encoder"})
#: Families that do so where the front end has a layer norm, not a group norm.
_RAW = frozenset({"wav2vec2", "hubert"})
#: Where the layers of a model are.
_PLACES = ("layers", "encoder.layers", "encoder.encoder.layer", "encoders", "encoder.encoders")
#: A model's own law from input frames to output frames.
_LAWS = ("_get_subsampling_output_length", "_get_feat_extract_output_lengths")
_MASK = "attention_mask"
#: Seconds of silence that show whether a model gives what it says.
_PROBE = 0.25
#: Extractors that divide by a clip's own deviation need two frames to find one.
_LEAST_INPUTS = 2


@attrs.frozen(eq=False)
class _Pass:
    """What the layers must know in a forward pass: the tap, and how long each clip is at the layers."""

    tap: Tap
    lengths: torch.Tensor | None


class HfEncoder(Encoder):
    """A frozen audio model of transformers.

    :raises SetupError: the weights are not there, or those of a model that is no such encoder.
    """

    def __init__(self, config: HfConfig) -> None:
        super().__init__()
        from transformers import AutoFeatureExtractor, AutoModel

        dtype = config.dtype if config.dtype == "auto" else getattr(torch, config.dtype)
        self.config, self.max_seconds = config, config.max_seconds
        self.model = _encoder(pretrained(AutoModel, config.weights, dtype=dtype))
        self.extractor = load(AutoFeatureExtractor, config.weights)
        self.sample_rate = int(self.extractor.sampling_rate)
        blocks = _blocks(self.model, config.weights)
        self.layers = len(blocks)
        self.together = _together(self.model.config)
        self._law = _law(self.model, config.weights)
        self._pass: _Pass | None = None
        for number, block in enumerate(blocks):
            block.forward = partial(self._through, number, block.forward)
        self.freeze()
        if self._inputs(self.sample_rate) == self._inputs(2 * self.sample_rate):
            raise _unsuited(self.model, config.weights, "its feature extractor makes all clips equally long")
        # Enough silence is added to a very short clip that it has a frame in every layer.
        counts, frames = range(1, self.sample_rate), getattr(self.model.config, "squeeze_factor", 1)
        self._least = counts[bisect_left(counts, frames, key=self._count)]
        self.width = self._measured(config.weights)

    @property
    def layer_width(self) -> int:
        return int(self.model.config.hidden_size)

    def frames(self, samples: int) -> int:
        """Return the frames as the feature extractor and the model's own length function count them."""
        return self._count(max(samples, self._least))

    def features(self, waveforms: Sequence[np.ndarray]) -> Padded:
        """Return what the feature extractor makes of each clip by itself: (B,T,F), or waveforms (B,T)."""
        padded = [np.pad(wave, (0, max(self._least - len(wave), 0))) for wave in waveforms]
        return Padded.stack([self._extract(wave) for wave in padded])

    def forward(self, features: Padded, tap: Tap = untouched) -> Padded:
        if self.together:
            return self._run(features, tap)
        rows = [self._run(Padded.stack([row]), tap).values[0] for row in features.rows()]
        return Padded.stack(rows)

    def _run(self, features: Padded, tap: Tap) -> Padded:
        """Compute clips together, or one alone: then no mask is needed."""
        alone = len(features) == 1
        features = Padded.stack(features.rows()) if alone else features  # a row of a batch may be padded
        lengths = None if alone else self._law(features.host_lengths)
        mask = {} if alone else {_MASK: features.mask}
        values = features.zeroed().values.to(self.model.dtype)
        self._pass = _Pass(tap, lengths)
        try:
            frames = self.model(**{self.model.main_input_name: values}, **mask).last_hidden_state
        finally:
            self._pass = None
        return Padded(frames, _whole(frames) if lengths is None else lengths)

    def _through(
        self, number: int, original: Callable[..., Any], hidden: torch.Tensor, *rest: Any, **named: Any
    ) -> Any:
        """Stand in for a layer's `forward`: what it gives is tapped, within what is computed again."""
        if self._pass is None:
            return original(hidden, *rest, **named)
        others: tuple[Any, ...] | None = None  # some layers return a tuple

        def compute(values: torch.Tensor) -> torch.Tensor:
            nonlocal others
            found = original(values, *rest, **named)
            first, others = (found[0], tuple(found[1:])) if isinstance(found, tuple) else (found, None)
            return first  # type: ignore[no-any-return]

        lengths = _whole(hidden) if self._pass.lengths is None else self._pass.lengths
        frames = self.layer(number, compute, Padded(hidden, lengths), self._pass.tap).values
        return frames if others is None else (frames, *others)

    def _measured(self, weights: str) -> int:
        """Return the width of the frames that the model gives, on the meta device too.

        :raises SetupError: it gives another number of them than it says.
        """
        samples = max(self._least, round(_PROBE * self.sample_rate))
        with torch.device("cpu"):
            values = self._extract(np.zeros(samples, dtype=np.float32))[None]
        weight = next(self.model.parameters())
        with torch.no_grad():
            found = self.model(**{self.model.main_input_name: values.to(weight.device, self.model.dtype)})
        frames, width = found.last_hidden_state.shape[1:]
        if frames != self.frames(samples):
            reason = f"it gives {frames} frames for {samples} samples and says {self.frames(samples)}"
            raise _unsuited(self.model, weights, reason)
        return int(width)

    def _extract(self, wave: np.ndarray) -> torch.Tensor:
        """Return the input of one clip (T,F) or (T,)."""
        found = self.extractor(
            wave, sampling_rate=self.sample_rate, return_attention_mask=True, return_tensors="np"
        )
        values = found[self.model.main_input_name][0]
        length = int(found[_MASK][0].sum()) if _MASK in found else len(values)
        return torch.from_numpy(np.ascontiguousarray(values[:length], dtype=np.float32))

    @lru_cache(maxsize=4096)  # noqa: B019  # an encoder lives as long as its process
    def _count(self, samples: int) -> int:
        inputs = self._inputs(samples)
        if inputs < _LEAST_INPUTS:
            return 0
        with torch.device("cpu"):
            return max(int(self._law(torch.tensor([inputs]))[0]), 0)

    def _inputs(self, samples: int) -> int:
        """Return the length of a clip's input, 0 where the extractor needs a longer clip."""
        try:
            with torch.device("cpu"), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of one frame, which has no deviation
                return len(self._extract(np.zeros(samples, dtype=np.float32)))
        except (RuntimeError, ValueError, IndexError):
            return 0


def _encoder(model: nn.Module) -> Any:
    """Return the audio encoder of a model that has a head or a decoder as well."""
    inner = getattr(model, "encoder", None)
    return inner if hasattr(inner, "main_input_name") else model


def _blocks(model: nn.Module, weights: str) -> nn.ModuleList:
    """Return the layers in a row.

    :raises SetupError: there are none.
    """
    count = getattr(model.config, "num_hidden_layers", None)
    for place in _PLACES:
        try:
            found = model.get_submodule(place)
        except AttributeError:
            continue
        if isinstance(found, nn.ModuleList) and len(found) == count:
            return found
    raise _unsuited(model, weights, "its layers do not stand in a row")


def _law(model: nn.Module, weights: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the law from the lengths of inputs (B,) to those of frames.

    :raises SetupError: the model has none.
    """
    found = next((getattr(model, name) for name in _LAWS if hasattr(model, name)), None)
    if found is None:
        raise _unsuited(model, weights, "it does not say how many frames it gives")
    return lambda lengths: found(lengths).to(torch.int64)


def _together(config: Any) -> bool:
    """Tell whether a padded batch gives every clip the numbers that it has alone."""
    if getattr(config, "add_adapter", False):
        return False
    layer_norm = getattr(config, "feat_extract_norm", "") == "layer"
    return config.model_type in _MASKED or (config.model_type in _RAW and layer_norm)


def _whole(values: torch.Tensor) -> torch.Tensor:
    """Return the lengths (B,) of rows without padding."""
    return torch.full((len(values),), values.shape[1], device="cpu")


def _unsuited(model: nn.Module, weights: str, reason: str) -> SetupError:
    kind = type(model).__name__
    return SetupError(f'{weights!r} holds a {kind}, which the encoder "hf" cannot use: {reason}')
