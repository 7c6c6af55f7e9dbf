"""Projectors: from encoder frames (B,T,D) to audio tokens (B,A,H) that the language model reads."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from torch import nn

from steermoe_core.errors import UsageError
from steermoe_core.model.inheritance import holds
from steermoe_core.model.pooling import pool, pooled_length, pooled_width
from steermoe_core.model.ridge import Ridge

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch

    from steermoe_core.data.padded import Padded
    from steermoe_core.model.config import IdentityConfig, LinearConfig, MlpConfig, PoolConfig
    from steermoe_core.model.decoder import Decoder
    from steermoe_core.model.nbest import Proposal


class Projector(nn.Module):
    """Turns frames into audio tokens; may add a loss of its own to the language model's.

    :ivar start_steps: first steps that train on that loss alone, without the language model.
    :ivar loss_weight: factor of that loss when it is added to the language model's; alone it counts in full.
    :ivar loss_name: name of that loss in metrics.jsonl.
    :ivar ctc: whether it has a CTC head, which `emissions` and `proposals` ask.
    """

    start_steps: int = 0
    loss_weight: float = 1.0
    loss_name: str = "own"
    ctc: bool = False
    #: Batches of (frames, answers) that `begin` needs; 0 if none.
    begin_batches: int = 0

    @property
    def pooling(self) -> PoolConfig | None:
        """The settings of `pool`, if frames are used for nothing but ``pool(settings, frames)``; else None.

        Kept frames are then pooled before they are stored, and `pool` returns them unchanged. It is about the
        `forward` of the same class: a subclass that overrides that says it again.
        """
        return None

    @property
    def begins_with(self) -> PoolConfig | None:
        """The time pooling that may be applied to frames beforehand; None if there is none."""
        known = self.pooling if holds(type(self), "pooling", of="forward") else None
        return None if known is None or known.kind == "none" else known

    @abstractmethod
    def forward(self, frames: Padded, answer: Padded | None = None) -> tuple[Padded, torch.Tensor | None]:
        """Return audio tokens (B,A,H) and, given the answers' ids (B,Y), its own loss summed over tokens."""

    def loss(self, frames: Padded, answer: Padded) -> torch.Tensor | None:
        """Return its own loss summed over tokens, without making audio tokens; None if it has none."""
        return None

    def emissions(self, frames: Padded, answer: Padded) -> Padded:
        """Return log-probabilities (B,T,1+Y) of a blank and of each token of the answers (B,Y).

        They are what a CTC alignment of a text needs, frame by frame; T is `tokens` of the frames. A token
        that the projector has no class for counts as whichever it finds likeliest. Only where `ctc` is set.
        """
        raise NotImplementedError

    def spans(self, frames: Padded, audio: Padded) -> list[list[tuple[float, float]]]:
        """Return from where to where in a row each of its audio tokens hears, in units of `tokens`.

        Tokens share their row evenly by default; a projector that drops or merges tokens says which they are.

        :param audio: (B,A,H) that it made of the frames (B,T,D).
        """
        counts = zip(frames.host_lengths.tolist(), audio.host_lengths.tolist(), strict=True)
        return [
            [(self.tokens(length) * n / count, self.tokens(length) * (n + 1) / count) for n in range(count)]
            for length, count in counts
        ]

    def proposals(self, frames: Padded, most: int) -> list[list[Proposal]]:
        """Return the most probable texts of each row under CTC, best first, each once.

        Only where `ctc` is set.

        :param most: largest number of texts of a row.
        """
        raise NotImplementedError

    def losses(self) -> dict[str, torch.Tensor]:
        """Return further terms that the last forward pass with answers adds to the loss, and forget them.

        As `Adapter.losses`: by name, each a mean over the batch, with its weight.
        """
        return {}

    @abstractmethod
    def tokens(self, frames: int) -> int:
        """Return the largest number of audio tokens for a number of frames."""

    def begin(self, answers: Iterable[list[int]], pairs: Iterable[tuple[Padded, Padded]]) -> None:
        """Prepare from the training data, once, before the first step of a new run.

        :param answers: token ids of every training answer.
        :param pairs: frames (B,T,D) and answer ids (B,Y) of `begin_batches` batches, computed lazily.
        """

    def extend(self, answers: Iterable[list[int]]) -> str | None:
        """Prepare for the training data of a run that starts from a trained adapter, instead of `begin`.

        The adapter's tensors are loaded; trained ones keep their values, and all keep their shapes.

        :param answers: token ids of every training answer; none where the adapter is only scored.
        :returns: a note for the user on what was added; None if nothing was.
        """
        return None

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Return the trainable parameters by learning-rate group."""
        return {"projector": list(self.parameters())}


class IdentityProjector(Projector):
    """Pooling alone: frames are audio tokens.

    :raises UsageError: frames have another width than the language model's embeddings.
    """

    def __init__(self, config: IdentityConfig, width: int, decoder: Decoder) -> None:
        super().__init__()
        self.config = config
        if (own := pooled_width(config.pool, width)) != decoder.width:
            msg = (
                f"projector identity outputs frames of width {own}, but the language model reads vectors "
                f"of width {decoder.width}; use a projector that maps one to the other, such as linear"
            )
            raise UsageError(msg)

    @property
    def pooling(self) -> PoolConfig:
        return self.config.pool

    def forward(self, frames: Padded, answer: Padded | None = None) -> tuple[Padded, torch.Tensor | None]:
        return pool(self.config.pool, frames), None

    def tokens(self, frames: int) -> int:
        return pooled_length(self.config.pool, frames)


class LinearProjector(Projector):
    """Pooling, then one linear map with bias."""

    def __init__(self, config: LinearConfig, width: int, decoder: Decoder) -> None:
        super().__init__()
        self.config = config
        self.map = nn.Linear(pooled_width(config.pool, width), decoder.width)
        if not config.trained:
            _make_buffers(self.map)
        self.begin_batches = 64 if config.start == "ridge" else 0
        self._embeddings = decoder.embed

    @property
    def pooling(self) -> PoolConfig:
        return self.config.pool

    def forward(self, frames: Padded, answer: Padded | None = None) -> tuple[Padded, torch.Tensor | None]:
        pooled = pool(self.config.pool, frames)
        return pooled.holding(self.map(pooled.values)), None

    def tokens(self, frames: int) -> int:
        return pooled_length(self.config.pool, frames)

    def begin(self, answers: Iterable[list[int]], pairs: Iterable[tuple[Padded, Padded]]) -> None:
        if self.config.start != "ridge":
            return
        ridge = Ridge()
        for frames, answer in pairs:
            ridge.add(pool(self.config.pool, frames), answer, self._embeddings)
        ridge.solve_into(self.map)


class MlpProjector(Projector):
    """Pooling, then linear, GELU, linear."""

    def __init__(self, config: MlpConfig, width: int, decoder: Decoder) -> None:
        super().__init__()
        self.config = config
        hidden = config.hidden or decoder.width
        self.map = nn.Sequential(
            nn.Linear(pooled_width(config.pool, width), hidden), nn.GELU(), nn.Linear(hidden, decoder.width)
        )

    @property
    def pooling(self) -> PoolConfig:
        return self.config.pool

    def forward(self, frames: Padded, answer: Padded | None = None) -> tuple[Padded, torch.Tensor | None]:
        pooled = pool(self.config.pool, frames)
        return pooled.holding(self.map(pooled.values)), None

    def tokens(self, frames: int) -> int:
        return pooled_length(self.config.pool, frames)


def _make_buffers(linear: nn.Linear) -> None:
    """Turn the parameters of a map into buffers: saved with the adapter as they start, never trained."""
    for name, parameter in list(linear.named_parameters()):
        delattr(linear, name)
        linear.register_buffer(name, parameter.detach())
