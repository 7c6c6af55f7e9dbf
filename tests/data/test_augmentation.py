"""Augmented batches are a pure function of the seed, the examples and their turns, with every collator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import pytest
import torch

from steermoe_core.data.audio.stored import Mel
from steermoe_core.data.audio.waveform import load
from steermoe_core.data.augmentation import Augmentation, Augmented, stretch
from steermoe_core.data.collators import AsrCollator
from steermoe_core.data.config import AsrConfig
from steermoe_core.data.example import Example
from steermoe_core.data.layout import Batch, ids
from steermoe_core.data.padded import Padded
from steermoe_core.errors import DataError
from tests.augmentations import Slow, Wobble
from tests.sounds import processed_mels, write_parquet
from tests.tiny import RATE, tokenizer, write_wav

if TYPE_CHECKING:
    from collections.abc import Sequence

WORDS = tokenizer()
SECONDS = (0.1, 0.2, 0.3)
#: The first normal numbers for seed 1, the first use of `clip-0` and the first table.
NUMBERS = [0.32888848, 1.1056643, 0.19515558]


def features(waveforms: Sequence[np.ndarray[Any, Any]]) -> Padded:
    """Return windows of ten samples (T,10), padded with sevens."""
    rows = [torch.from_numpy(wave[: len(wave) // 10 * 10].reshape(-1, 10)) for wave in waveforms]
    return Padded.stack(rows, fill=7.0)


def collator() -> AsrCollator:
    """Return the built-in collator."""
    return AsrCollator(AsrConfig(), WORDS, features)


def augmented(*augmentations: Augmentation, seed: int = 1, collate: Any = None) -> Augmented:
    """Return a collate function; augmentations have their places as names."""
    named = {f"augment.{place}": one for place, one in enumerate(augmentations)}
    return Augmented(collate or collator(), named, RATE, seed)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    """Return three clips of different lengths."""
    folder = tmp_path_factory.mktemp("clips")
    return [
        Example(id=f"clip-{n}", audio=write_wav(folder / f"{n}.wav", seconds), text="one", seconds=seconds)
        for n, seconds in enumerate(SECONDS)
    ]


def rows(batch: Batch) -> list[np.ndarray[Any, Any]]:
    """Return the features of each clip."""
    return [row.numpy() for row in batch.features.rows()]


class Times(Augmentation):
    """Multiplies waveforms."""

    def __init__(self, factor: float) -> None:
        self.factor = np.float32(factor)

    def waveform(self, waveform, rate, random):
        return waveform * self.factor


class Plus(Augmentation):
    """Adds to waveforms."""

    def __init__(self, number: float) -> None:
        self.number = np.float32(number)

    def waveform(self, waveform, rate, random):
        return waveform + self.number


class Label(Augmentation):
    """Adds a number to the features."""

    def features(self, features, random):
        return features + np.float32(100.0)


class Drawn(Augmentation):
    """Replaces features with numbers of its generator."""

    def features(self, features, random):
        return random.normal(size=features.shape).astype(np.float32)


class TestWhatDecides:
    """The seed, the example, its turn and the place of the augmentation."""

    def test_equal_examples_give_equal_batches(self, examples: list[Example]) -> None:
        """In another process and after other batches as well: nothing is kept."""
        one, other = augmented(Wobble()), augmented(Wobble())
        other(examples[::-1])

        assert torch.equal(one(examples).features.values, other(examples).features.values)

    def test_batch_mates_do_not_matter(self, examples: list[Example]) -> None:
        """A clip alone is the clip in a batch, in any order."""
        collate = augmented(Wobble())

        alone = [rows(collate([example]))[0] for example in examples]

        for number, row in enumerate(reversed(rows(collate(examples[::-1])))):
            np.testing.assert_array_equal(row, alone[number])

    def test_each_turn_differs(self, examples: list[Example]) -> None:
        """A clip that is used again is changed in another way."""
        collate = augmented(Drawn())
        turns = [attrs.evolve(examples[0], turn=turn) for turn in range(5)]

        assert len({row.tobytes() for row in rows(collate(turns))}) == 5

    @pytest.mark.parametrize("change", [{"text": "two"}, {"source": 1}, {"cluster": "anna"}])
    def test_other_facts_do_not_matter(self, examples: list[Example], change: dict[str, Any]) -> None:
        """Only the id counts."""
        collate = augmented(Drawn())
        changed = attrs.evolve(examples[0], **change)

        np.testing.assert_array_equal(rows(collate([changed]))[0], rows(collate([examples[0]]))[0])

    def test_seed_id_and_place_count(self, examples: list[Example]) -> None:
        """Each gives other numbers."""
        clip = examples[0]
        batches = [
            augmented(Drawn())([clip]),
            augmented(Drawn(), seed=2)([clip]),
            augmented(Drawn())([attrs.evolve(clip, id="other")]),
            augmented(Augmentation(), Drawn())([clip]),
        ]

        assert len({rows(batch)[0].tobytes() for batch in batches}) == len(batches)

    def test_the_numbers_are_the_same_everywhere(self, examples: list[Example]) -> None:
        """They are written down here: no version or machine may change them."""
        row = rows(augmented(Drawn())([examples[0]]))[0]

        np.testing.assert_allclose(row[0, :3], NUMBERS, rtol=1e-6)


class TestOrder:
    """Augmentations of waveforms come first, both kinds in the order of the experiment."""

    def test_of_the_experiment(self, examples: list[Example]) -> None:
        """(2 x + 1) · 3, then the features."""
        plain, batch = collator()(examples), augmented(Label(), Times(2.0), Plus(1.0), Times(3.0))(examples)

        for found, clip in zip(rows(batch), rows(plain), strict=True):
            np.testing.assert_allclose(found, (2.0 * clip + 1.0) * 3.0 + 100.0, rtol=1e-5)

    def test_padding_is_as_the_encoder_wants_it(self, examples: list[Example]) -> None:
        """Only real frames are changed."""
        batch = augmented(Label())(examples)

        assert batch.features.values[~batch.features.mask].unique().tolist() == [7.0]


class TestTheCollator:
    """It is given clips that are augmented already, whoever wrote it."""

    def test_knows_the_new_length(self, examples: list[Example]) -> None:
        """Seconds and features are those of the longer clip."""
        batch = augmented(Slow())(examples)

        assert batch.seconds.tolist() == pytest.approx([1.5 * seconds for seconds in SECONDS])
        assert batch.features.lengths.tolist() == [RATE // 10 * s * 3 // 20 for s in (1, 2, 3)]
        assert batch.ids == tuple(example.id for example in examples)

    def test_clips_at_another_speed(self, examples: list[Example]) -> None:
        """They are sped up once, before they are augmented."""
        fast = [attrs.evolve(one, speed=1.25, seconds=one.seconds / 1.25) for one in examples]
        plain, batch = collator()(fast), augmented(Times(1.0))(fast)

        assert torch.equal(plain.features.values, batch.features.values)
        assert torch.equal(plain.seconds, batch.seconds)

    def test_of_another_author(self, examples: list[Example]) -> None:
        """One that loads the clips and calls `features` itself."""

        def collate(examples: Sequence[Example]) -> Batch:
            waveforms = [load(example.audio, RATE) for example in examples]
            none = ids([[] for _ in examples])
            return Batch(
                tuple(e.id for e in examples),
                features(waveforms),
                none,
                none,
                none,
                torch.ones(len(examples)),
            )

        batch = augmented(Wobble(), collate=collate)(examples)

        np.testing.assert_array_equal(rows(batch)[1], rows(augmented(Wobble())(examples))[1])

    def test_stored_features(self, tmp_path: Path) -> None:
        """Log-mels of a table are changed as computed ones are."""
        path = write_parquet(tmp_path / "mels.parquet", processed_mels(["one"], 0.5, 10))
        clip = Example(id="mel", audio=Mel(path, 0, "input_features", 0.5), text="one", seconds=0.5)

        np.testing.assert_allclose(
            rows(augmented(Label())([clip]))[0], rows(collator()([clip]))[0] + 100.0, rtol=1e-6
        )

    def test_a_missing_clip_is_named(self, examples: list[Example]) -> None:
        """As without augmentation."""
        with pytest.raises(DataError, match=r"gone\.wav"):
            augmented(Wobble())([attrs.evolve(examples[0], audio=Path("gone.wav"))])


def test_together_they_stretch_more() -> None:
    """Factors multiply; nothing stretches nothing."""
    assert stretch([Slow(), Wobble(), Slow()]) == 2.25
    assert stretch([]) == 1.0


class TestWrongAugmentations:
    """What a collator or an encoder cannot use is refused, with the place in the experiment."""

    @pytest.mark.parametrize(
        ("returned", "sentence"),
        [
            (lambda wave: wave.astype(np.float64), r"shape \(1600,\) and type float64"),
            (lambda wave: wave[:0], r"shape \(0,\)"),
            (lambda wave: np.concatenate([wave, wave]), r"shape \(3200,\)"),
            (lambda wave: wave[:, None], r"shape \(1600, 1\)"),
            (lambda wave: wave * np.float32(np.nan), "values that are not finite"),
        ],
    )
    def test_waveforms(self, examples: list[Example], returned: Any, sentence: str) -> None:
        """Another type, nothing, more than `stretch` says, more dimensions, nan."""
        wrong = type("Wrong", (Augmentation,), {"waveform": lambda _, wave, *__: returned(wave)})

        with pytest.raises(DataError, match=rf"augment\.1 returned .*{sentence}"):
            augmented(Wobble(), wrong())(examples[:1])

    def test_features(self, examples: list[Example]) -> None:
        """Fewer frames would not fit the length law."""
        wrong = type("Wrong", (Augmentation,), {"features": lambda _, features, __: features[1:]})

        with pytest.raises(DataError, match=r"augment\.0 returned an array of the shape \(159, 10\)"):
            augmented(wrong())(examples[:1])

    def test_features_that_are_waveforms(self, examples: list[Example]) -> None:
        """An encoder that reads samples has no bins to mask."""

        def samples(waveforms: Sequence[np.ndarray[Any, Any]]) -> Padded:
            return Padded.stack([torch.from_numpy(wave) for wave in waveforms])

        collate = AsrCollator(AsrConfig(), WORDS, samples)

        with pytest.raises(
            DataError, match=r"\(frames, bins\), but those of this encoder .* \(1600,\); remove"
        ):
            augmented(Label(), collate=collate)(examples[:1])
