"""SpecAugment: how many values are masked, where, and with what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from steermoe_augment.config import SpecAugmentConfig
from steermoe_augment.spectra import SpecAugment

FRAMES, BINS = 300, 80
CLIP = np.random.default_rng(5).normal(size=(FRAMES, BINS)).astype(np.float32)


def masked(seed: int, clip: np.ndarray[Any, Any] = CLIP, **settings: Any) -> np.ndarray[Any, Any]:
    """Return which values are replaced (T,F)."""
    changed = SpecAugment(SpecAugmentConfig(**settings)).features(clip, np.random.default_rng(seed))
    where = changed != clip
    mean = clip.mean(dtype=np.float64)
    np.testing.assert_allclose(changed[where], mean, rtol=1e-6)
    return where


def widths(seeds: int, axis: int, **settings: Any) -> list[int]:
    """Return the width of one mask, for each seed; a mask covers whole bins or whole frames."""
    found = []
    for seed in range(seeds):
        where = masked(seed, **settings)
        line = where.any(axis=axis)
        assert (where == (line[None, :] if axis == 0 else line[:, None])).all()
        places = np.flatnonzero(line)
        assert len(places) == 0 or places[-1] - places[0] + 1 == len(places)
        found.append(len(places))
    return found


def test_bands_of_bins() -> None:
    """Widths are uniform from 0 to the largest, and every bin can be masked."""
    found = widths(600, 0, frequency_masks=1, time_masks=0, frequency_width=12)

    assert set(found) == set(range(13))
    assert np.mean(found) == pytest.approx(6.0, abs=0.5)


def test_spans_of_frames() -> None:
    """The same over time."""
    found = widths(600, 1, frequency_masks=0, time_masks=1, time_width=20, time_share=1.0)

    assert set(found) == set(range(21))


def test_every_place_is_masked_in_some_draw() -> None:
    """The first and the last bin and frame as well."""
    settings = {"frequency_masks": 1, "time_masks": 1, "frequency_width": 20, "time_width": 60}
    ever = np.any([masked(seed, **settings) for seed in range(200)], axis=0)

    assert ever.all()


def test_a_mask_covers_a_share_of_a_short_clip() -> None:
    """Of 50 frames, a tenth: at most 5."""
    found = widths_of_short(200)

    assert max(found) == 5


def widths_of_short(seeds: int) -> list[int]:
    settings = {"frequency_masks": 0, "time_masks": 1, "time_width": 100, "time_share": 0.1}
    return [int(masked(seed, CLIP[:50], **settings).any(axis=1).sum()) for seed in range(seeds)]


def test_masks_that_are_wider_than_the_features() -> None:
    """They cover all bins at most."""
    found = widths(100, 0, frequency_masks=1, time_masks=0, frequency_width=1000)

    assert max(found) <= BINS
    assert max(found) > BINS // 2


def test_probability() -> None:
    """The other clips are not changed."""
    changed = [masked(seed, probability=0.25).any() for seed in range(400)]

    assert np.mean(changed) == pytest.approx(0.25, abs=0.06)
