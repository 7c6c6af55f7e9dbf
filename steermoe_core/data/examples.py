"""Examples in columns: a sequence that makes an `Example` when one is asked for.

What the engine needs of all examples at once (their seconds, ids, texts) it takes column by column, so that a
million of them costs a few numbers each. Where the columns come from is a `Store`: a list of examples, or an
`index.Index` on disk.
"""

from __future__ import annotations

import gc
import hashlib
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Protocol, overload

import attrs
import numpy as np

from steermoe_core.data.audio.beginnings import address
from steermoe_core.data.audio.waveform import file_of, size
from steermoe_core.data.example import Example, faster

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from steermoe_core.data.audio.stored import Audio

    Indices = NDArray[np.signedinteger[Any]]
    #: From lists of values, one for each column, to a value for each row.
    Derivation = Callable[..., Iterable[Any]]

#: Rows whose values are in memory at the same time.
CHUNK = 8192


class Store(Protocol):
    """Rows that examples are made of."""

    @property
    def identity(self) -> str | None:
        """A hash of the content; None where there is nothing to tell by."""

    @property
    def seconds(self) -> NDArray[np.float64]:
        """The duration of each row."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def example(self, row: int) -> Example:
        """Return the example of a row."""

    def values(self, column: str, rows: Indices) -> list[Any]:
        """Return what an attribute of `Example` is in some rows.

        More columns are of the audio: "kind", its type; "size", the bytes of its file; "file", the path of
        that; and "address".
        """

    def derived(self, name: str, columns: Sequence[str], derive: Derivation, dtype: str) -> NDArray[Any]:
        """Return a number for each row that is computed from columns, and may be kept.

        :param name: identifies what is computed; an empty one is not kept.
        """


@attrs.frozen(eq=False)
class Listed:
    """Examples in memory."""

    examples: Sequence[Example]
    seconds: NDArray[np.float64] = attrs.field()
    identity: str | None = None

    @seconds.default
    def _measured(self) -> NDArray[np.float64]:
        return np.fromiter((one.seconds for one in self.examples), np.float64, len(self.examples))

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.examples)

    def example(self, row: int) -> Example:
        return self.examples[row]

    def values(self, column: str, rows: Indices) -> list[Any]:
        chosen = (self.examples[row] for row in rows.tolist())
        if column == "kind":
            return [type(one.audio) for one in chosen]
        if column == "size":
            return [size(one.audio) for one in chosen]
        if column == "file":
            return [str(file_of(one.audio)) for one in chosen]
        if column == "address":
            return [address(one.audio) for one in chosen]
        return [getattr(one, column) for one in chosen]

    def derived(self, name: str, columns: Sequence[str], derive: Derivation, dtype: str) -> NDArray[Any]:
        del name
        return derived(self, columns, derive, dtype)


def derived(store: Store, columns: Sequence[str], derive: Derivation, dtype: str) -> NDArray[Any]:
    """Compute a number for each row of a store, chunk by chunk."""
    found = np.empty(len(store), np.dtype(dtype))
    with _uncollected():
        for start in range(0, len(store), CHUNK):
            rows = np.arange(start, min(start + CHUNK, len(store)))
            found[start : start + CHUNK] = list(derive(*(store.values(column, rows) for column in columns)))
    return found


@contextmanager
def _uncollected() -> Iterator[None]:
    """Pause Python's garbage collector: it takes half of the time where many objects come and go."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@attrs.frozen(eq=False)
class _Part:
    """A store, played at some speed, as one source of several."""

    store: Store
    speed: float = 1.0
    source: int | None = None

    @property
    def seconds(self) -> NDArray[np.float64]:
        """The duration of each row at this speed."""
        return self.store.seconds if self.speed == 1.0 else self.store.seconds / self.speed

    def example(self, row: int, seconds: float) -> Example:
        example = self.store.example(row)
        if self.speed != 1.0:
            example = faster(example, self.speed)
        source = example.source if self.source is None else self.source
        same = example.seconds == seconds or (math.isnan(example.seconds) and math.isnan(seconds))
        if same and source == example.source:
            return example
        return attrs.evolve(example, seconds=seconds, source=source)

    def values(self, column: str, rows: Indices) -> list[Any]:
        if column == "source" and self.source is not None:
            return [self.source] * len(rows)
        if column == "speed" and self.speed != 1.0:
            return [self.speed] * len(rows)
        found = self.store.values(column, rows)
        if column == "id" and self.speed != 1.0:
            return [f"{name}@{self.speed:g}" for name in found]
        return found


class Examples(Sequence[Example]):
    """Examples of one or several stores, in some order.

    Equal to any sequence of equal examples.

    :ivar seconds: duration of each example (n,) float64, nan where it cannot be read.
    """

    __hash__ = None  # type: ignore[assignment] # like a list

    def __init__(
        self,
        parts: Sequence[_Part],
        numbers: Indices | None = None,
        seconds: NDArray[np.float64] | None = None,
    ) -> None:
        self.parts = tuple(parts)
        self._starts = [0, *np.cumsum([len(part.store) for part in parts]).tolist()]
        self.numbers = numbered(0, self._starts[-1]) if numbers is None else numbers
        if seconds is None:
            seconds = _joined([part.seconds for part in parts])
            seconds = seconds if numbers is None else seconds[numbers]
        self.seconds = seconds

    @classmethod
    def of(cls, examples: Sequence[Example]) -> Examples:
        """Return examples in columns: themselves if they are, else with the list as their store."""
        return examples if isinstance(examples, cls) else cls([_Part(Listed(examples))])

    @classmethod
    def stored(cls, store: Store) -> Examples:
        """Return all examples of a store."""
        return cls([_Part(store)])

    @classmethod
    def joined(cls, several: Sequence[Examples]) -> Examples:
        """Return the examples of several sequences, one after the other."""
        if len(several) == 1:
            return several[0]
        parts: list[_Part] = []
        rows = [sum(len(part.store) for part in one.parts) for one in several]
        numbers = [numbered(0, sum(rows))[:0]]
        for one, start in zip(several, accumulate(rows, initial=0), strict=False):
            numbers.append(one.numbers.astype(numbers[0].dtype) + start)
            parts += one.parts
        return cls(parts, np.concatenate(numbers), _joined([one.seconds for one in several]))

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.numbers)

    @overload
    def __getitem__(self, place: int) -> Example: ...

    @overload
    def __getitem__(self, place: slice) -> Examples: ...

    def __getitem__(self, place: int | slice) -> Example | Examples:
        """Make one example, or return a part of the sequence."""
        if isinstance(place, slice):
            return Examples(self.parts, self.numbers[place], self.seconds[place])
        number = int(self.numbers[place])
        part = bisect_right(self._starts, number) - 1
        return self.parts[part].example(number - self._starts[part], float(self.seconds[place]))

    def __eq__(self, other: object) -> bool:
        """Compare with any sequence of examples."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(map(_alike, self, other))

    def __repr__(self) -> str:
        """Return the number of examples and the first of them."""
        return f"<{len(self)} examples{f', the first {self[0].id!r}' if len(self) else ''}>"

    def take(self, chosen: NDArray[np.bool_] | Indices) -> Examples:
        """Return some examples.

        :param chosen: true for each of them (n,), or their numbers.
        """
        if chosen.dtype == bool and chosen.all():
            return self
        return Examples(self.parts, self.numbers[chosen], self.seconds[chosen])

    def lasting(self, seconds: NDArray[np.float64]) -> Examples:
        """Return the examples with other durations (n,)."""
        return Examples(self.parts, self.numbers, seconds)

    def of_source(self, number: int) -> Examples:
        """Return the examples as those of a training source."""
        return Examples(
            [attrs.evolve(part, source=number) for part in self.parts], self.numbers, self.seconds
        )

    def at_speeds(self, speeds: Sequence[float]) -> Examples:
        """Return every example once at each speed: more variety from the same recordings.

        A copy at another speed than 1 has the speed in its id.
        """
        return Examples.joined([self if speed == 1.0 else self._faster(speed) for speed in speeds])

    def _faster(self, speed: float) -> Examples:
        parts = [attrs.evolve(part, speed=speed) for part in self.parts]
        return Examples(parts, self.numbers, self.seconds / speed)

    def durations(self) -> Iterator[float]:
        """Yield the duration of each example."""
        for start in range(0, len(self), CHUNK):
            yield from self.seconds[start : start + CHUNK].tolist()

    @property
    def sources(self) -> Indices:
        """The number of each example's source (n,)."""
        return np.fromiter(self.values("source"), np.int64, len(self))

    @property
    def speeds(self) -> NDArray[np.float64]:
        """How much faster than recorded each example is played (n,)."""
        return np.fromiter(self.values("speed"), np.float64, len(self))

    def names(self) -> Iterator[tuple[int, str]]:
        """Yield source and id of each example, which together no other one has."""
        return zip(self.values("source"), self.values("id"), strict=True)

    def audio_kinds(self) -> list[Audio]:
        """Return the first clip of each type of audio."""
        first: dict[type, int] = {}
        for place, kind in enumerate(self.values("kind")):
            first.setdefault(kind, place)
        return [self[place].audio for place in first.values()]

    def values(self, column: str) -> Iterator[Any]:
        """Yield an attribute of each example ("id", "text", "audio", …), in their order."""
        for start in range(0, len(self), CHUNK):
            numbers = self.numbers[start : start + CHUNK]
            of = np.searchsorted(self._starts, numbers, side="right") - 1
            if (of == of[0]).all():
                yield from self.parts[of[0]].values(column, numbers - self._starts[of[0]])
                continue
            found: list[Any] = [None] * len(numbers)
            for part in np.unique(of).tolist():
                places = np.flatnonzero(of == part)
                rows = numbers[places] - self._starts[part]
                for place, value in zip(places.tolist(), self.parts[part].values(column, rows), strict=True):
                    found[place] = value
            yield from found

    def derived(
        self, name: str, columns: Sequence[str], derive: Derivation, dtype: str = "int64"
    ) -> NDArray[Any]:
        """Return a number for each example that is computed from columns, and kept on disk if they are.

        :param name: identifies what is computed, with all settings that it depends on.
        :param columns: of the examples; their speed, source and turn play no part.
        :param derive: takes a list of values for each column, and returns a value for each row.
        :param dtype: numpy's name of the type of these.
        """
        stores = {id(part.store): part.store for part in self.parts}
        found = {key: store.derived(name, columns, derive, dtype) for key, store in stores.items()}
        whole = [found[id(part.store)] for part in self.parts]
        if len(whole) == 1:
            return whole[0][self.numbers]
        return np.concatenate([np.zeros(0, np.dtype(dtype)), *whole])[self.numbers]

    @property
    def identity(self) -> str | None:
        """A hash of what the examples are; None where some of them are in memory."""
        known = [part.store.identity for part in self.parts]
        if None in known:
            return None
        digest = hashlib.sha256(repr([known, [(p.speed, p.source) for p in self.parts]]).encode())
        digest.update(np.ascontiguousarray(self.numbers).data)
        digest.update(np.ascontiguousarray(self.seconds).data)
        return digest.hexdigest()


def numbered(start: int, end: int) -> Indices:
    """Return whole numbers from a start up to an end, which is not one, in 4 bytes each where they fit."""
    return np.arange(start, end, dtype=np.int32 if end <= 2**31 else np.int64)


def _joined(several: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return arrays one after the other; a single one is not copied."""
    return several[0] if len(several) == 1 else np.concatenate([np.zeros(0), *several])


def _alike(one: Example, other: Example) -> bool:
    """Compare two examples; durations that are not known are the same."""
    if math.isnan(one.seconds) and isinstance(other, Example) and math.isnan(other.seconds):
        return attrs.evolve(one, seconds=0.0) == attrs.evolve(other, seconds=0.0)
    return one == other
