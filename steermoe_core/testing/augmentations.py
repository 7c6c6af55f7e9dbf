"""The checks of an augmentation: usable arrays, and random choices from one generator."""

from __future__ import annotations

import copy
import pickle
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from steermoe_core.data.augmentation import Augmentation, changes_features, changes_waveforms
from steermoe_core.plugins.quarantine import described
from steermoe_core.testing.modules import noise
from steermoe_core.testing.suite import Suite, needs
from steermoe_core.testing.tiny import RATE, sine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Array = NDArray[np.float32]

#: Generators that each check tries.
_DRAWS = 8
#: Generators among which one has to change a clip.
_MANY = 64
_BINS = 80


class AugmentationSuite(Suite):
    """Checks of an `Augmentation`.

    One that is meant for certain clips only overrides `waveforms` or `spectra`.
    """

    kind = "augmentation"

    def waveforms(self) -> list[Array]:
        """Return waveforms at 16 kHz: noise, a tone, silence, and a very short clip."""
        return [noise(RATE), sine(0.5), np.zeros(RATE // 2, np.float32), noise(400, seed=1)]

    def spectra(self) -> list[Array]:
        """Return features (T,80) of a long clip, of a constant one and of a single frame."""
        long, short = (
            np.random.default_rng(seed).normal(size=(frames, _BINS)) for seed, frames in ((2, 200), (3, 1))
        )
        return [long.astype(np.float32), np.ones((40, _BINS), np.float32), short.astype(np.float32)]

    def check_type(self, part: Any) -> None:
        """Refuse what is no augmentation."""
        self.expect_instance(part, Augmentation)

    @needs("builds")
    def test_declares(self) -> None:
        """It overrides `waveform` or `features`, and `stretch` is a number from 1.0 on."""
        part = self.build()
        self.expect(
            changes_waveforms(part) or changes_features(part),
            "it overrides neither waveform() nor features(), so it changes nothing",
        )
        factor = part.stretch
        valid = isinstance(factor, float) and 1.0 <= factor < float("inf")
        self.expect(
            valid,
            f"stretch is {factor!r}, expected a number from 1.0 on: the largest factor by which it lengthens "
            "a clip",
        )

    @needs("declares")
    def test_waveform(self) -> None:
        """A waveform stays finite float32 (samples,), at most `stretch` times as long and never empty."""
        part = self.build()
        for clip, changed in self._waveforms(part):
            most = len(clip) * part.stretch + 1
            self._expect_array(changed, "waveform()")
            fits = changed.ndim == 1 and 0 < len(changed) <= most
            self.expect(
                fits,
                f"waveform() made an array of shape {changed.shape} of {len(clip)} samples, expected one "
                f"dimension and 1 to {int(most)} samples (stretch is {part.stretch:g})",
            )

    @needs("declares")
    def test_features(self) -> None:
        """Features stay finite float32 of the same shape (T,F)."""
        for clip, changed in self._features(self.build()):
            self._expect_array(changed, "features()")
            self.expect(
                changed.shape == clip.shape,
                f"features() made an array of shape {changed.shape} of {clip.shape}, expected the same shape",
            )

    @needs("waveform", "features")
    def test_inputs(self) -> None:
        """What it is given stays as it is."""
        part = self.build()
        for method, clips in self._clips(part):
            for clip in clips:
                before = clip.copy()
                for seed in range(_DRAWS):
                    _applied(part, method, clip, seed)
                    self.expect(
                        np.array_equal(before, clip),
                        f"{method}() changes the array that it is given: copy it",
                    )

    @needs("waveform", "features")
    def test_determinism(self) -> None:
        """Equal generators change a clip equally, whatever clips came before."""
        fresh, used = self.build(), self.build()
        for method, clips in self._clips(used):
            for seed in range(_DRAWS):
                _applied(used, method, clips[0].copy(), 100 + seed)
        for method, clips in self._clips(fresh):
            for clip in clips:
                for seed in range(_DRAWS):
                    one, other = (_applied(part, method, clip.copy(), seed) for part in (fresh, used))
                    self.expect(
                        np.array_equal(one, other),
                        f"{method}() gave two results for one clip and equal generators: draw from the "
                        "generator that it is given and keep nothing from one clip to the next",
                    )

    @needs("determinism")
    def test_chance(self) -> None:
        """It draws from its generator only, not from the global ones of Python, numpy or torch."""
        part, before = self.build(), _chance()
        for method, clips in self._clips(part):
            for seed in range(_DRAWS):
                _applied(part, method, clips[0].copy(), seed)
        moved = [name for name, state in _chance().items() if state != before[name]]
        self.expect(
            not moved, f"it draws from the global generator of {' and '.join(moved)}: use the one it is given"
        )

    @needs("determinism")
    def test_changes(self) -> None:
        """Of 64 draws, one at least changes a clip."""
        part = self.build()
        changed = (
            not np.array_equal(clips[0], _applied(part, method, clips[0].copy(), seed))
            for method, clips in self._clips(part)
            for seed in range(_MANY)
        )
        self.expect(
            any(changed), f"{_MANY} draws changed no clip: give settings in the suite with which it acts"
        )

    @needs("determinism")
    def test_copies(self) -> None:
        """It can be sent to the processes that load audio, and does there what it does here."""
        part = self.build()
        try:
            sent = pickle.loads(pickle.dumps(part))  # noqa: S301 - its own
        except Exception as error:
            msg = f"it cannot be pickled for another process: {described(error)}"
            raise self.wrong(msg) from error
        for method, clips in self._clips(part):
            one, other = (_applied(each, method, clips[0].copy(), 0) for each in (part, sent))
            self.expect(np.array_equal(one, other), f"in another process {method}() gives another result")

    def _waveforms(self, part: Augmentation) -> Iterator[tuple[Array, Array]]:
        """Yield each waveform with what becomes of it, for several generators."""
        for clip in self.waveforms():
            for seed in range(_DRAWS):
                yield clip, _applied(part, "waveform", clip.copy(), seed)

    def _features(self, part: Augmentation) -> Iterator[tuple[Array, Array]]:
        for clip in self.spectra():
            for seed in range(_DRAWS):
                yield clip, _applied(part, "features", clip.copy(), seed)

    def _clips(self, part: Augmentation) -> Iterator[tuple[str, list[Array]]]:
        """Yield the methods that an augmentation overrides, each with clips for it."""
        if changes_waveforms(part):
            yield "waveform", self.waveforms()
        if changes_features(part):
            yield "features", self.spectra()

    def _expect_array(self, values: Any, method: str) -> None:
        right = isinstance(values, np.ndarray) and values.dtype == np.float32
        kind = values.dtype if isinstance(values, np.ndarray) else type(values).__name__
        self.expect(right, f"{method} gave {kind}, expected a numpy array of float32")
        self.expect(np.isfinite(values).all(), f"{method} gave values that are not finite")


def _applied(part: Augmentation, method: str, clip: Array, seed: int) -> Array:
    generator = np.random.default_rng(seed)
    return part.waveform(clip, RATE, generator) if method == "waveform" else part.features(clip, generator)


def _chance() -> dict[str, Any]:
    """Return the states of the global generators."""
    numbers = np.random.get_state(legacy=False)  # noqa: NPY002 - the one that others draw from
    state = copy.deepcopy(numbers["state"])
    return {
        "Python": random.getstate(),
        "numpy": (state["key"].tolist(), state["pos"]),
        "torch": torch.get_rng_state().tolist(),
    }
