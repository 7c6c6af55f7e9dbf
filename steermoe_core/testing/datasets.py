"""The checks of a dataset: names to be trusted, audio that is there, true durations and parts."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from steermoe_core.config.check.test_splits import is_test
from steermoe_core.config.fields import fields_of
from steermoe_core.data.audio import waveform
from steermoe_core.data.example import Example
from steermoe_core.errors import DataError
from steermoe_core.testing.suite import Suite, needs

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Clips that are decoded, spread over the whole.
_DECODED = 20
#: Share by which a duration may be wrong, and seconds that are let pass in any case.
_SHARE, _SECONDS = 0.01, 0.02


class DatasetSuite(Suite):
    """Checks of a dataset: a function that returns a sequence of `Example`."""

    kind = "dataset"

    @property
    def examples(self) -> Sequence[Example]:
        """All examples, read once."""
        if self._shared.part is None:
            self._shared.part = self.build()
        part: Sequence[Example] = self._shared.part
        return part

    def check_type(self, part: Any) -> None:
        """Refuse what cannot be counted and indexed, holds other things than examples, or nothing."""
        kind = type(part).__name__
        sized = hasattr(part, "__len__") and hasattr(part, "__getitem__")
        self.expect(sized, f"the factory gave a {kind}, expected a sequence: return a list of Example")
        self.expect(
            len(part), "the factory gave no example at all: raise DataError that says what is missing"
        )
        odd = next((type(one).__name__ for one in part if not isinstance(one, Example)), None)
        self.expect(
            odd is None,
            f"the factory gave a {odd} among its examples, expected steermoe_core.data.example.Example",
        )

    @needs("builds")
    def test_ids(self) -> None:
        """Every example has an id of its own."""
        counts = Counter(example.id for example in self.examples)
        self.expect("" not in counts, "an example has an empty id: predictions are joined by it")
        name, times = max(counts.items(), key=lambda pair: pair[1])
        self.expect(times == 1, f"{times} examples have the id {name!r}: an id is unique within its source")

    @needs("builds")
    def test_stable(self) -> None:
        """Read again, it gives the same examples in the same order."""
        again = self.build()
        self.expect(
            len(again) == len(self.examples),
            f"read twice it gives {len(self.examples)} examples, then {len(again)}",
        )
        for one, other in zip(self.examples, again, strict=True):
            same = (one.id, one.text, one.split, one.audio) == (
                other.id,
                other.text,
                other.split,
                other.audio,
            )
            self.expect(
                same,
                f"read twice it gives {one.id!r} where it then gives {other.id!r}: sort, and draw with a "
                "seed",
            )

    @needs("builds")
    def test_fields(self) -> None:
        """Texts are text, labels are plain, speeds are above 0."""
        for example in self.examples:
            texts = (example.text, *example.references, example.prompt or "", example.cluster or "")
            self.expect(
                all(isinstance(text, str) for text in texts),
                f"{example.id}: text, references, prompt and cluster are text",
            )
            self.expect(
                example.speed > 0, f"{example.id}: speed is {example.speed}, expected a number above 0"
            )
            try:
                json.dumps(dict(example.labels))
            except TypeError as error:
                msg = f"{example.id}: labels cannot be written as JSON ({error}): give text"
                raise self.wrong(msg) from error

    @needs("builds")
    def test_audio(self) -> None:
        """The audio decodes: a sound file, or what else it is stored in, with samples that are finite."""
        for example in self._some():
            try:
                (found,) = waveform.decode_all([example.audio])
            except OSError as error:
                found = DataError(str(error))
            self.expect(
                not isinstance(found, DataError), f"{example.id}: its audio cannot be decoded: {found}"
            )

    @needs("audio")
    def test_seconds(self) -> None:
        """`seconds` are those of the audio, within 1 %."""
        for example in self._some():
            (found,) = waveform.decode_all([example.audio])
            true = float(found) / example.speed  # type: ignore[arg-type]
            right = abs(example.seconds - true) <= max(_SHARE * true, _SECONDS)
            self.expect(
                right,
                f"{example.id}: seconds says {example.seconds:.3f}, its audio lasts {true:.3f}: measure it "
                "(steermoe_core.data.audio.waveform.duration), and divide by speed",
            )

    @needs("builds")
    def test_split(self) -> None:
        """A split that is called a test is marked as one, so that nobody trains on it; no other holds any."""
        asked = self._asked()
        if asked is None:
            return
        wrong = [example for example in self.examples if is_test(example.split) != is_test(asked)]
        if is_test(asked):
            self.expect(
                not wrong,
                f'split = "{asked}" gives {_id(wrong)}, not marked as a test: it could be trained on',
            )
        else:
            self.expect(
                not wrong, f'split = "{asked}" gives {_id(wrong)} of a test part: a test is only scored'
            )

    def _asked(self) -> str | None:
        """Return the one split that the settings ask for."""
        config = self.selection().config
        asked = getattr(config, "split", None) if "split" in fields_of(type(config)) else None
        return asked if isinstance(asked, str) and asked not in ("", "all") and "+" not in asked else None

    def _some(self) -> list[Example]:
        count = len(self.examples)
        return [self.examples[int(n)] for n in np.unique(np.linspace(0, count - 1, _DECODED).round())]


def _id(examples: Sequence[Example]) -> str:
    return repr(examples[0].id) if examples else ""
