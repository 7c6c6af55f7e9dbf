"""The checks of an encoder: lengths, padding, batch-mates, chance, precision; its taps' are beside."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any
from unittest import SkipTest

import numpy as np
import torch
from torch import nn

from steermoe_core.config.fields import fields_of
from steermoe_core.data.padded import Padded
from steermoe_core.errors import SteermoeError
from steermoe_core.model.encoder import OWN_DECODER, Encoder
from steermoe_core.testing.modules import noise, same_tensors
from steermoe_core.testing.suite import needs
from steermoe_core.testing.taps import TapChecks

if TYPE_CHECKING:
    from collections.abc import Callable

#: Longest clip, in seconds, that a check is ready to compute.
_LONGEST = 60.0
#: Clips that are computed together where there are many.
_TOGETHER = 6


class EncoderSuite(TapChecks):
    """Checks of an `Encoder`."""

    kind = "encoder"

    def check_type(self, part: Any) -> None:
        """Refuse what is no encoder."""
        self.expect_instance(part, Encoder)

    @needs("builds")
    def test_declares(self) -> None:
        """`sample_rate`, `width` and `layers` are whole numbers, `max_seconds` is a number or None."""
        for name in ("sample_rate", "width", "layers"):
            value = getattr(self.encoder, name, None)
            right = isinstance(value, int) and not isinstance(value, bool) and value > 0
            self.expect(right, f"{name} is {value!r}, expected a whole number above 0: set it in the class")
        longest = self.encoder.max_seconds
        right = longest is None or (isinstance(longest, (int, float)) and longest > 0)
        self.expect(right, f"max_seconds is {longest!r}, expected seconds above 0, or None for no limit")

    @needs("declares")
    def test_features(self) -> None:
        """`features` gives a `Padded` of floats, a row a clip, without gradients; clips are left alone."""
        waves = self.waves(0.2, 0.5)
        before = [wave.copy() for wave in waves]
        features = self.encoder.features(waves)
        self.expect(
            isinstance(features, Padded), f"features() gave {type(features).__name__}, expected Padded"
        )
        values = features.values
        self.expect(len(values) == len(waves), f"features() of 2 clips gave {len(values)} rows, expected 2")
        self.expect(values.is_floating_point(), f"features() gave {values.dtype}, expected floating numbers")
        self.expect(
            not values.requires_grad, "features() gave values with a gradient: compute them under no_grad"
        )
        fits = bool((features.lengths <= values.shape[1]).all())
        self.expect(
            fits, f"lengths {features.lengths.tolist()} exceed the {values.shape[1]} positions of features()"
        )
        kept = all(np.array_equal(wave, copy) for wave, copy in zip(waves, before, strict=True))
        self.expect(kept, "features() changed the waveforms that it was given: work on a copy")

    @needs("features")
    def test_frames(self) -> None:
        """The frames of a batch are (B,T',width), long enough for their lengths."""
        frames = self.run(*self.waves(0.2, 0.5))
        shape, width = tuple(frames.values.shape), self.encoder.width
        right = len(shape) == 3  # noqa: PLR2004
        self.expect(right, f"forward() gave frames of shape {shape}, expected (B,T',D)")
        self.expect(shape[0] == 2, f"forward() gave {shape[0]} rows for 2 clips")  # noqa: PLR2004
        self.expect(shape[2] == width, f"forward() gave frames of width {shape[2]}, but width says {width}")
        longest = int(frames.lengths.max())
        self.expect(
            longest <= shape[1], f"a clip is said to have {longest} frames, but forward() gave {shape[1]}"
        )

    @needs("frames")
    def test_length_law(self) -> None:
        """`frames(samples)` is exact, from one sample on and at its own steps, alone and in a batch."""
        encoder = self.encoder
        counts = _counts(encoder.frames, encoder.sample_rate)
        for start in range(0, len(counts), _TOGETHER):
            some = counts[start : start + _TOGETHER]
            given = self.run(*(noise(count, count) for count in some)).lengths.tolist()
            for count, found in zip(some, given, strict=True):
                said = encoder.frames(count)
                self.expect(
                    said == found,
                    f"frames({count}) says {said}, the encoder gave {found}: frames() must be the exact law",
                )
        laws = [encoder.frames(count) for count in counts]
        self.expect(
            laws == sorted(laws), "frames() falls where samples rise: a longer clip never has fewer frames"
        )

    @needs("frames")
    def test_finite(self) -> None:
        """Frames are finite: of silence, of one sample, of a clip at full scale."""
        loud = np.sign(noise(self.encoder.sample_rate // 3)).astype(np.float32)
        clips = {
            "silence": np.zeros_like(loud),
            "a clip of one sample": noise(1),
            "a clip at full scale": loud,
        }
        for name, clip in clips.items():
            finite = all(row.isfinite().all() for row in self.run(clip).rows())
            self.expect(finite, f"the frames of {name} hold nan or infinity: guard divisions and logarithms")

    @needs("frames")
    def test_max_seconds(self) -> None:
        """A clip of `max_seconds` goes through."""
        longest = self.encoder.max_seconds
        if longest is None or longest > _LONGEST:
            msg = f"max_seconds is {longest}: not tried, it would take long"
            raise SkipTest(msg)
        frames = self.run(noise(round(longest * self.encoder.sample_rate)))
        self.expect(len(frames.rows()[0]) > 0, f"a clip of max_seconds = {longest:g} gave no frames")

    @needs("determinism")
    def test_padding_invariance(self) -> None:
        """The frames of a clip are the same with padding as without: it hears nothing behind its end."""
        (short,) = self.waves(0.4)
        alone = self.run(short)
        for seconds in (0.55, 1.3):
            features = self.encoder.features([short, noise(round(seconds * self.encoder.sample_rate), 1)])
            padded = self.forward(Padded(features.values[:1], features.lengths[:1]))
            self.expect_close(
                alone.rows()[0],
                padded.rows()[0],
                f"a clip of 0.4 s that is padded to {seconds} s has other frames than alone (by {{}}): mask "
                "the padding in every layer that looks across time (convolution, attention, norm, mean)",
            )

    @needs("determinism")
    def test_batch_invariance(self) -> None:
        """The frames of a clip are the same among other clips of its length as alone."""
        count = round(0.4 * self.encoder.sample_rate)
        waves = [noise(count, seed) for seed in range(3)]
        for number, row in enumerate(self.run(*waves).rows()):
            self.expect_close(
                row,
                self.run(waves[number]).rows()[0],
                f"clip {number} of three equally long ones has other frames than alone (by {{}}): nothing "
                "may be computed over the batch (a batch norm in training mode, a maximum over all clips)",
            )

    @needs("frames")
    def test_determinism(self) -> None:
        """The same clip gives the same frames each time."""
        (wave,) = self.waves(0.4)
        torch.manual_seed(1)
        first = self.run(wave)
        torch.manual_seed(2)
        self.expect_close(
            first.values,
            self.run(wave).values,
            "the same clip gives other frames the second time (by {}): something is drawn at random or "
            "remembered",
        )

    @needs("builds")
    def test_same_weights(self) -> None:
        """Built twice, it has the same tensors, whatever the seed: the frozen part is no part of chance."""
        different = same_tensors(self.seeded(1), self.seeded(2))
        self.expect(
            not different,
            f"{min(different, default='')} is another one each time the encoder is built: load it, or draw "
            "it under torch.random.fork_rng() with a seed of its own",
        )

    @needs("determinism")
    def test_eval_mode(self) -> None:
        """In a model that trains, it stays in eval mode and gives the same frames."""
        encoder, waves = self.seeded(), self.waves(0.4)
        before = self.run(*waves).rows()[0]
        nn.ModuleList([encoder]).train()
        training = [
            name or "the encoder itself" for name, module in encoder.named_modules() if module.training
        ]
        advice = "call self.freeze() at the end of __init__ and leave train() as Encoder has it"
        self.expect(not training, f"in a training model {training[:1]} is in training mode too: {advice}")
        with torch.no_grad():
            after = encoder(encoder.features(waves)).rows()[0]
        self.expect_close(before, after, f"in a training model its frames are others (by {{}}): {advice}")

    @needs("builds")
    def test_frozen(self) -> None:
        """No parameter is trainable."""
        free = [name for name, parameter in self.encoder.named_parameters() if parameter.requires_grad]
        self.expect(
            not free,
            f"{free[:1]} of {len(free)} parameters would be trained: call self.freeze() at the end of "
            "__init__",
        )

    @needs("features")
    def test_own_decoder(self) -> None:
        """`own_transcripts` is a text a clip, alone as in a batch; None without `own-decoder` in `gives`."""
        waves, promised = self.waves(0.2, 0.5), OWN_DECODER in (self.record.gives or ())
        texts = self._own_transcripts(waves)
        if not promised:
            self.expect(
                texts is None,
                f'own_transcripts() gave texts, but the component does not say gives=("{OWN_DECODER}",), so '
                "nobody will ask for them",
            )
            msg = "it has no decoder of its own"
            raise SkipTest(msg)
        right = isinstance(texts, list) and [type(text) for text in texts] == [str, str]
        self.expect(right, f"own_transcripts() of 2 clips gave {texts!r}, expected a list of 2 texts")
        alone = [text for wave in waves for text in self._own_transcripts([wave])]
        self.expect(
            alone == texts,
            f"own_transcripts() of 2 clips gave {texts!r}, of each alone {alone!r}: mask the padding",
        )

    def _own_transcripts(self, waves: list[np.ndarray]) -> Any:
        try:
            return self.encoder.own_transcripts(waves)
        except SteermoeError as error:
            msg = f"its own decoder cannot be had here: {error}"
            raise SkipTest(msg) from None

    @needs("frames")
    def test_dtype(self) -> None:
        """Features are fp32 or the weights' type; frames, taps included, are in the type of the weights."""
        self._check_types(self.encoder)
        if "dtype" in fields_of(self.record.config_class()):
            self._check_types(self.build(self.selection(dtype="bfloat16")))

    @needs("frames")
    def test_device(self) -> None:
        """On an accelerator the frames are there, and equal those of the CPU but for rounding."""
        if not torch.cuda.is_available():
            msg = "there is no accelerator here"
            raise SkipTest(msg)
        encoder, waves = self.seeded().to("cuda"), self.waves(0.2, 0.5)
        features = encoder.features(waves)
        with torch.no_grad():
            frames = encoder(features.to("cuda"))
        place = frames.values.device.type
        self.expect(
            place == "cuda", f"moved to cuda, the encoder gave frames on {place}: make tensors on the input's"
        )
        for one, other in zip(frames.rows(), self.run(*waves).rows(), strict=True):
            close = torch.nn.functional.cosine_similarity(
                one.float().cpu().flatten(), other.float().flatten(), 0
            )
            self.expect(close > 0.999, f"on cuda the frames are others (cosine {close:.4f})")  # noqa: PLR2004

    def _check_types(self, encoder: Encoder) -> None:
        floats = [p.dtype for p in (*encoder.parameters(), *encoder.buffers()) if p.is_floating_point()]
        weights = max(set(floats), key=floats.count, default=torch.float32)
        seen: list[torch.dtype] = []

        def tap(_: int, frames: Padded) -> Padded:
            seen.append(frames.values.dtype)
            return frames

        features = encoder.features(self.waves(0.2, 0.5))
        right = features.values.dtype in (torch.float32, weights)
        self.expect(
            right, f"features() gave {features.values.dtype}, expected float32 or the weights' {weights}"
        )
        with torch.no_grad():
            given = encoder(features, tap).values.dtype
        self.expect(
            given == weights,
            f"the weights are {weights}, but the frames are {given}: end in the weights' type",
        )
        other = next((dtype for dtype in seen if dtype != weights), weights)
        self.expect(
            other == weights, f"the weights are {weights}, but a tap gets {other}: keep to the weights' type"
        )


def _counts(law: Callable[[int], int], rate: int) -> list[int]:
    """Return lengths to try, in samples: very short, around windows, seconds and the law's steps."""
    counts = {1, 2, rate // 100, rate // 40 - 1, rate // 40, rate // 40 + 1, rate // 4 + 3, rate // 2 - 1}
    counts |= {rate - 1, rate, rate + 1, round(1.5 * rate) + 7, 2 * rate}
    for start in (law(1), law(rate // 3), law(rate)):
        for step in (1, 2):
            at = bisect_left(range(2 * rate), start + step, key=law)
            counts |= {at - 1, at, at + 1}
    return sorted(count for count in counts if 0 < count <= 2 * rate)
