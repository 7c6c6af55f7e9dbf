"""The checks of an encoder's taps: every layer calls them, hears them, and carries gradients to them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import SkipTest

import torch
from torch import nn

from steermoe_core.component import PACKING
from steermoe_core.data.padded import Padded
from steermoe_core.model.encoder import Encoder, untouched
from steermoe_core.testing.modules import ModuleSuite, apart, backward, noise, weighed
from steermoe_core.testing.suite import needs

if TYPE_CHECKING:
    import numpy as np

    from steermoe_core.model.encoder import Tap

_CALL = "call self.layer(number, compute, frames, tap) for each layer, from 0 to layers - 1"


class TapChecks(ModuleSuite):
    """The part of `EncoderSuite` that is about taps."""

    @property
    def encoder(self) -> Encoder:
        """The encoder, built once for all checks that leave it as it is."""
        if self._shared.part is None:
            self._shared.part = self.seeded()
        part: Encoder = self._shared.part
        return part

    def waves(self, *seconds: float) -> list[np.ndarray]:
        """Return clips of noise at the encoder's rate."""
        return [noise(round(s * self.encoder.sample_rate), seed) for seed, s in enumerate(seconds)]

    def run(self, *waves: np.ndarray, tap: Tap = untouched) -> Padded:
        """Return the frames of clips, computed together."""
        return self.forward(self.encoder.features(list(waves)), tap)

    @torch.no_grad()
    def forward(self, features: Padded, tap: Tap = untouched) -> Padded:
        """Return the frames of features."""
        return self.encoder(features, tap)  # type: ignore[no-any-return]

    @needs("frames")
    def test_taps(self) -> None:
        """`tap` is called once a layer, in order, with the frames there (B,T',D), D by `layer_widths`."""
        self.require("layer-taps")
        layers, widths = self.encoder.layers, list(self.encoder.layer_widths)
        self.expect(
            len(widths) == layers, f"layer_widths are {widths}, expected one for each of {layers} layers"
        )
        seen = self._seen(*self.waves(0.4))
        order = [number for number, _ in seen]
        self.expect(
            order == list(range(layers)),
            f"tap was called for layers {order}, expected {list(range(layers))}: {_CALL}",
        )
        for number, frames in seen:
            shape = tuple(frames.values.shape)
            right = len(shape) == 3 and shape[2] == widths[number]  # noqa: PLR2004
            self.expect(
                right,
                f"the tap of layer {number} got frames of shape {shape}, expected (B,T',{widths[number]})",
            )
        self._check_lengths()

    @needs("declares")
    def test_linear_maps(self) -> None:
        """With `gives = ("linear-maps",)` its layers stand in one `ModuleList`, each with an `nn.Linear`."""
        self.require("linear-maps")
        stacks = [
            stack
            for stack in self.encoder.modules()
            if isinstance(stack, nn.ModuleList) and len(stack) == self.encoder.layers
        ]
        found = any(
            all(any(isinstance(m, nn.Linear) for m in one.modules()) for one in stack) for stack in stacks
        )
        self.expect(
            found,
            f"it gives linear-maps, but no ModuleList holds its {self.encoder.layers} layers with an "
            "nn.Linear in each: leave the word out of gives",
        )

    @needs("taps", "determinism")
    def test_tap_results(self) -> None:
        """What a tap returns is what the next layer sees, and nothing else of that layer."""
        (wave,) = self.waves(0.4)
        one, other = (self.encoder.features([clip]) for clip in (wave, noise(len(wave), 7)))
        plain = self._after(one, self._changed(-1))
        for number in range(self.encoder.layers):
            shifted = self._after(one, self._changed(number))[number]
            self.expect(
                apart(plain[number], shifted) > 0,
                f"what the tap of layer {number} returns changes nothing: go on with what it gives; {_CALL}",
            )
            wiped = partial(self._wiped, number)
            self.expect_close(
                self._after(one, wiped)[number],
                self._after(other, wiped)[number],
                f"with the output of layer {number} wiped out by its tap, the next one still hears the clip "
                "(by {}): nothing may go around the tap",
            )

    @needs("tap_results")
    def test_tap_gradients(self) -> None:
        """What is trained in the taps gets a gradient from the frames, at every layer."""
        shifts = self._shifts()
        frames = self._shifted(shifts)
        graph = frames.values.requires_grad
        self.expect(
            graph, "the frames carry no gradient to the taps: forward() must not run under torch.no_grad()"
        )
        backward(weighed(frames))
        for number, shift in enumerate(shifts):
            reached = shift.grad is not None and bool(shift.grad.any()) and bool(shift.grad.isfinite().all())
            self.expect(
                reached,
                f"no gradient from the frames reaches the tap of layer {number}: it is detached behind it",
            )

    @needs("tap_gradients")
    def test_recompute(self) -> None:
        """With `recompute`, each layer is computed again in the backward pass, with the same numbers."""
        plain, again = self._shifts(), self._shifts()
        calls: list[int] = []
        expected = self._shifted(plain)
        backward(weighed(expected))
        self.encoder.recompute = True
        try:
            found = self._shifted(again, calls=calls)
            before = len(calls)
            backward(weighed(found))
        finally:
            self.encoder.recompute = False
        self.expect(len(calls) > before, f"train.recompute has no effect on this encoder: {_CALL}")
        self.expect_close(expected.values, found.values, "with recompute the frames are others (by {})")
        for number, (one, two) in enumerate(zip(plain, again, strict=True)):
            message = f"with recompute the gradient at the tap of layer {number} is another (by {{}})"
            self.expect_close(_gradient(one), _gradient(two), message)

    @needs("tap_results", "batch_invariance")
    def test_from_layer(self) -> None:
        """`from_layer` gives, from what any layer gets, what `forward` gives, taps included."""
        if not self.encoder.divisible:
            msg = "it does not implement from_layer"
            raise SkipTest(msg)
        waves = self.waves(0.25, 0.6)
        inputs = [frames for _, frames in self._seen(*waves)][:-1]
        for first, frames in enumerate(inputs, 1):
            tap = self._changed(first)
            with torch.no_grad():
                found = self.encoder.from_layer(first, frames, tap)
            for one, other in zip(self.run(*waves, tap=tap).rows(), found.rows(), strict=True):
                self.expect_close(
                    one,
                    other,
                    f"from_layer({first}) gives other frames than forward (by {{}}): compute layer {first} "
                    "and all after it, and tap them",
                )

    @needs("taps", "determinism")
    def test_packing(self) -> None:
        """With `gives = ("packing",)`, frames and gradients at the taps do not depend on `packing`."""
        self.require(PACKING)
        results = []
        for packing in (False, True):
            shifts = self._shifts()
            self.encoder.packing = packing
            try:
                frames = self._shifted(shifts, 0.25, 0.6, 0.4).zeroed()
            finally:
                self.encoder.packing = False
            backward(weighed(frames))
            results.append((frames, shifts))
        (padded, plain), (packed, shifted) = results
        self.expect_close(padded.values, packed.values, "packed, the frames are others (by {})")
        for number, (one, two) in enumerate(zip(plain, shifted, strict=True)):
            message = f"packed, the gradient at the tap of layer {number} is another (by {{}})"
            self.expect_close(_gradient(one), _gradient(two), message)

    def _check_lengths(self) -> None:
        """Refuse taps that get other lengths in a batch than of each clip alone; no layer need be as long."""
        waves = self.waves(0.25, 0.6)
        batch, alone = self._seen(*waves), [self._seen(wave) for wave in waves]
        for number in range(self.encoder.layers):
            got = _lengths(batch, number)
            expected = [length for seen in alone for length in _lengths(seen, number)]
            self.expect(
                got == expected,
                f"the tap of layer {number} got lengths {got} of clips that have {expected} frames there "
                "alone: hand them on",
            )

    def _seen(self, *waves: np.ndarray) -> list[tuple[int, Padded]]:
        seen = []

        def tap(layer: int, frames: Padded) -> Padded:
            seen.append((layer, frames))
            return frames

        self.run(*waves, tap=tap)
        return seen

    def _after(self, features: Padded, change: Tap) -> list[torch.Tensor]:
        """Return what each layer's successor sees: the next tap's frames, and those behind the last layer."""
        seen = []

        def tap(layer: int, frames: Padded) -> Padded:
            seen.append(frames.values.clone())
            return change(layer, frames)

        frames = self.forward(features, tap)
        return [*seen[1:], frames.values]

    def _changed(self, which: int) -> Tap:
        def change(layer: int, frames: Padded) -> Padded:
            if layer != which:
                return frames
            wave = torch.linspace(-1, 1, frames.values.shape[2]).to(frames.values)
            return Padded(frames.values + wave, frames.lengths)

        return change

    def _wiped(self, which: int, layer: int, frames: Padded) -> Padded:
        values = torch.zeros_like(frames.values) if layer == which else frames.values
        return Padded(values, frames.lengths)

    def _shifts(self) -> list[torch.Tensor]:
        return [torch.zeros(width, requires_grad=True) for width in self.encoder.layer_widths]

    def _shifted(self, shifts: list[torch.Tensor], *seconds: float, calls: Any = None) -> Padded:
        def tap(layer: int, frames: Padded) -> Padded:
            if calls is not None:
                calls.append(layer)
            # A product, unlike a sum, is called again where activations are not kept.
            return Padded(frames.values * (1 + shifts[layer].to(frames.values.dtype)), frames.lengths)

        return self.encoder(self.encoder.features(self.waves(*(seconds or (0.4,)))), tap)  # type: ignore[no-any-return]


def _lengths(seen: list[tuple[int, Padded]], number: int) -> list[int]:
    """Return the lengths that the tap of a layer got; a batch may be computed clip by clip."""
    return [length for layer, frames in seen if layer == number for length in frames.lengths.tolist()]


def _gradient(tensor: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
