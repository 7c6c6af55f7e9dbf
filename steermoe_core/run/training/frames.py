"""A disk cache of what the frozen encoder computes of training clips.

It serves every run with the same encoder: its output where no adapter changes it (pooled in time where that
is all that the projector does with it), else the input of the first layer that an adapter changes.

Frames in fp32 are exactly those that a clip has alone: each clip is encoded by itself, so that a run has the
same numbers whichever run stored them. Frames in bf16 are rounded, so clips of similar length are encoded
together, under autocast.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import attrs
import numpy as np
import torch
from torch.utils.data import DataLoader

from steermoe_core.data.audio.features import Kept
from steermoe_core.data.audio.shards import Shards, ShardWriter
from steermoe_core.data.example import Example
from steermoe_core.data.examples import Examples
from steermoe_core.data.worker_errors import WorkerCollate
from steermoe_core.errors import SetupError
from steermoe_core.model.pooling import pool
from steermoe_core.system.cache import cache_folder
from steermoe_core.train import ranks

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from steermoe_core.component import Selection
    from steermoe_core.data.audio.stored import Audio
    from steermoe_core.data.collator import Collator
    from steermoe_core.data.padded import Padded
    from steermoe_core.model.joined import Joined

#: Lengths, in seconds, of the noise whose frames identify an encoder.
_PROBES = (0.3, 1.0, 4.0)
#: Seconds of audio, padding included, that are encoded together: 16 clips of 30 seconds.
_TOGETHER = 480.0


class KeptExamples(Sequence[Example]):
    """Examples, with the frames of some on disk.

    :param numbers: number in `shards` of the frames of each example; -1 for none.
    :param pooled: whether the frames are pooled.
    """

    def __init__(
        self, examples: Sequence[Example], numbers: NDArray[np.int64], shards: Shards, *, pooled: bool
    ) -> None:
        self._examples, self._numbers, self._shards, self._pooled = examples, numbers, shards, pooled

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._examples)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        """Return an example that knows its frames, or several."""
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        example, number = self._examples[index], int(self._numbers[index])
        if number < 0:
            return example
        return attrs.evolve(example, audio=Kept(self._shards.stored(number), self._pooled, example.audio))


class FrameStore:
    """The frames of one encoder, in a folder named after its weights, settings, platform and output.

    :param model: its encoder has its weights, and is on the device that computes.
    :param selection: settings of the encoder.
    :param fingerprint: SHA-256 of its tensors.
    :param dtype: `float32`, or `bfloat16` to encode clips together in that precision.
    """

    def __init__(self, model: Joined, selection: Selection, fingerprint: str, dtype: str = "float32") -> None:
        self.encoder = model.encoder
        self.layer = model.adapter.first_layer
        self.pooling = model.pooling
        self.dtype: torch.dtype = getattr(torch, dtype)
        probes = self._probes()
        # A short clip that is padded although it is alone: the padding is part of what the layers compute on.
        self.padded = self.layer is not None and probes[0].values.shape[1] > int(probes[0].host_lengths)
        identity = [
            fingerprint,
            _settings(selection.config),
            platform.machine(),
            torch.__version__,
            _hash(probes),
            [self.layer, repr(self.pooling), dtype],
        ]
        digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
        self.folder = cache_folder() / "frames" / f"{selection.name}-{digest[:16]}"

    def keep(
        self,
        examples: Sequence[Example],
        numbers: Iterable[int],
        collator: Collator,
        advance: Callable[[int], None] = lambda _: None,
        workers: int = 0,
    ) -> Sequence[Example]:
        """Return the examples, with the frames of some on disk: a collective.

        The processes of a run share the work; each writes shards of its own.

        :param numbers: indices of the examples to keep frames of.
        :param collator: makes the encoder's input.
        :param advance: called with a number of clips that this process has dealt with.
        :param workers: processes that load audio.
        :raises DataError: a clip cannot be read.
        :raises CheckpointError: the disk is full or not writable.
        :raises SetupError: the processes do not see one another's files.
        """
        groups = self._groups(Examples.of(examples).seconds.tolist(), numbers)
        mine = groups[ranks.rank() :: ranks.world()]
        own = self._store(examples, mine, collator, advance, workers)
        names = {number: name for one in ranks.gathered(own) for number, name in one.items()}
        shards = Shards(self.folder, self.dtype)
        places = np.full(len(examples), -1)
        places[list(names)] = found = shards.numbers(names.values())
        if (found < 0).any():
            msg = (
                f"{self.folder}: frames that another process has stored are missing; set STEERMOE_CACHE to a "
                "folder that all machines share"
            )
            raise SetupError(msg)
        return KeptExamples(examples, places, shards, pooled=self.pooling is not None)

    def _groups(self, seconds: Sequence[float], numbers: Iterable[int]) -> list[list[int]]:
        """Return the clips by length in groups that are encoded together: a function of the clips alone.

        A run that was killed forms the same groups again, and so computes the same numbers.
        """
        budget = 0.0 if self.dtype is torch.float32 else _TOGETHER
        groups: list[list[int]] = []
        for number in sorted(set(numbers), key=lambda number: (seconds[number], number)):
            if not groups or (len(groups[-1]) + 1) * seconds[number] > budget:
                groups.append([])
            groups[-1].append(number)
        return groups

    def _store(
        self,
        examples: Sequence[Example],
        groups: Sequence[list[int]],
        collator: Collator,
        advance: Callable[[int], None],
        workers: int,
    ) -> dict[int, str]:
        """Store the frames of clips that have none, and return the name of each clip."""
        state = cache(_state)
        numbers = [number for group in groups for number in group]
        clips = Examples.of(examples).take(np.array(numbers, np.int64))
        columns = zip(numbers, clips.values("audio"), clips.values("speed"), strict=True)
        names = {number: _name(audio, speed, state) for number, audio, speed in columns}
        places = Shards(self.folder, self.dtype).numbers(names.values())
        stored = dict(zip(names, (places >= 0).tolist(), strict=True))
        absent = [group for group in groups if not all(stored[number] for number in group)]
        advance(len(names) - sum(map(len, absent)))
        loader: DataLoader[Any] = DataLoader(
            range(len(examples)),  # type: ignore[arg-type] # a sequence is a dataset
            batch_sampler=absent,
            collate_fn=WorkerCollate(_Inputs(examples, collator)),  # type: ignore[arg-type]
            num_workers=workers if absent else 0,
            generator=torch.Generator(),  # or it would draw from the run's random numbers
        )
        with ShardWriter(self.folder) as writer:
            for group, features in loader:
                frames, lengths = self._encoded(features)
                new = [
                    (names[number], rows, length)
                    for number, rows, length in zip(group, frames, lengths, strict=True)
                    if not stored[number]
                ]
                writer.add({clip[0]: clip for clip in new}.values())
                advance(len(group))
        return names

    @torch.no_grad()
    def _encoded(self, features: Padded) -> tuple[list[torch.Tensor], list[int]]:
        """Return what is stored of each clip (T,D), and its true length."""
        device = next(self.encoder.parameters()).device
        frames = self._frames(features.to(device)).to("cpu", self.dtype)
        return list(frames.values) if self.padded else frames.rows(), frames.host_lengths.tolist()

    def _frames(self, features: Padded) -> Padded:
        rounded = self.dtype is not torch.float32
        with torch.autocast(features.values.device.type, self.dtype, enabled=rounded):
            frames = self._computed(features)
        if self.pooling is None:
            return frames
        return pool(self.pooling, frames.holding(frames.values.float()))

    def _computed(self, features: Padded) -> Padded:
        """Return the output of the encoder, or the input of the first layer that an adapter changes."""
        if self.layer is None:
            return self.encoder(features)  # type: ignore[no-any-return]
        seen: dict[int, Padded] = {}

        def tap(number: int, frames: Padded) -> Padded:
            seen[number] = frames
            return frames

        self.encoder(features, tap)
        return seen[self.layer - 1]

    @torch.no_grad()
    def _probes(self) -> list[Padded]:
        """Return the frames of noise, which change with the code and the libraries of the encoder."""
        random = np.random.default_rng(0)
        device = next(self.encoder.parameters()).device
        rate = self.encoder.sample_rate
        waves = [random.normal(0.0, 0.1, round(seconds * rate)).astype(np.float32) for seconds in _PROBES]
        return [self._frames(self.encoder.features([wave]).to(device)) for wave in waves]


@attrs.frozen
class _Inputs:
    """Makes the encoder's input of examples, given by their numbers."""

    examples: Sequence[Example]
    collator: Collator

    def __call__(self, numbers: list[int]) -> tuple[list[int], Padded]:
        batch = self.collator.collate([self.examples[number] for number in numbers], answered=False)
        return numbers, batch.features


def _name(audio: Audio, speed: float, state: Callable[[Path], str]) -> str:
    """Return the name of a clip in shards: where its audio is, the state of that file, and the speed.

    No audio is read for it. Equal records are the same audio, see `StoredAudio`.
    """
    if isinstance(audio, Path):
        place, file = str(audio.absolute()), audio
    else:
        place, file = f"{type(audio).__qualname__}{attrs.astuple(audio)}", audio.file  # type: ignore[arg-type]
    return hashlib.sha256(f"{place} {state(file)} {speed:g}".encode()).hexdigest()[:32]


def _state(file: Path) -> str:
    """Return the size and the time of a file; nothing if it is not on this machine."""
    try:
        found = file.stat()
    except OSError:
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"


def _settings(config: Any) -> str:
    """Return an encoder's settings without `weights`, which the fingerprint identifies wherever they are."""
    return repr({name: value for name, value in attrs.asdict(config).items() if name != "weights"})


def _hash(probes: Sequence[Padded]) -> str:
    digest = hashlib.sha256()
    for frames in probes:
        digest.update(frames.rows()[0].float().cpu().numpy().tobytes())
    return digest.hexdigest()
