"""The whole model: encoder → adapter → projector → audio tokens among text embeddings → decoder → loss.

    positions   [ soft prompt | before | audio | after | answer EOS ]
    loss        on `answer EOS` only, each predicted from the position before it

Rows are packed without gaps and padded on the right; `before`, where all rows share it, is computed once
as a key-value prefix, unless an adapter works on the decoder.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from steermoe_core.data.padded import Frames, Padded, Waveforms
from steermoe_core.model.adapter import Adapters, NoAdapter
from steermoe_core.model.encoder import untouched
from steermoe_core.model.recompute import recomputed, unrecorded
from steermoe_core.model.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.data.layout import Batch
    from steermoe_core.model.adapter import Adapter
    from steermoe_core.model.config import PoolConfig
    from steermoe_core.model.decoder import Decoder, Prefix
    from steermoe_core.model.encoder import Encoder
    from steermoe_core.model.projectors import Projector

#: Prefix of the decoder's layers in the statistics of adapters.
DECODER = "decoder."


class Joined(nn.Module):
    """A frozen encoder and a frozen decoder, with the trained adapters and projector.

    :param adapter: of the encoder.
    :param decoder_adapter: of the decoder; None for none.
    :ivar prefixed: whether tokens that all rows begin with are computed once, not in every row; never where
        an adapter changes what the decoder computes from them.
    :ivar most_logits: logits of the loss that exist at a time, 256 MB of fp32; beyond them it is computed in
        parts, whose logits are computed again in the backward pass; 0 sets no limit.
    :ivar losses: what adapters and projector added to the loss of the last forward pass, by name.
    """

    prefixed: bool = True
    most_logits: int = 2**26

    def __init__(
        self,
        encoder: Encoder,
        adapter: Adapter,
        projector: Projector,
        decoder: Decoder,
        decoder_adapter: Adapter | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.adapter = adapter
        self.projector = projector
        self.decoder = decoder
        self.decoder_adapter = decoder_adapter
        self.losses: dict[str, torch.Tensor] = {}
        if decoder_adapter is not None:
            self.prefixed = False
            decoder.tap = decoder_adapter.tap

    @property
    def adapters(self) -> Adapter:
        """The adapters of both towers as one, for groups and statistics."""
        if self.decoder_adapter is None:
            return self.adapter
        return Adapters([self.adapter, self.decoder_adapter], prefixes=["", DECODER])

    @property
    def context(self) -> int:
        """Longest sequence in positions, without those of a soft prompt."""
        prompt = None if self.decoder_adapter is None else self.decoder_adapter.prompt()
        return self.decoder.context - (0 if prompt is None else len(prompt))

    @contextmanager
    def text_only(self) -> Iterator[None]:
        """Switch off inside the block what changes the decoder: it reads text as it does on its own."""
        tap = self.decoder.tap
        with self.adapters.disabled():
            self.decoder.tap = untouched
            try:
                yield
            finally:
                self.decoder.tap = tap

    def read(self, batch: Batch, audio: Padded) -> None:
        """Run the decoder over the rows of a batch without answers, for the statistics of its adapters."""
        if self.decoder_adapter is not None:
            self.hidden(*self.inputs(batch, audio, answered=False))

    def forward(self, batch: Batch, tokens: int, *, language_model: bool = True) -> torch.Tensor:
        """Return the training loss: sums over answer tokens, divided by ``tokens``.

        :param tokens: answer tokens of the whole optimizer step, so that accumulation k equals a batch k
            times as large.
        :param language_model: False trains on the projector's own loss alone.
        """
        frames = self.frames(batch.features)
        # EOS is not spoken.
        spoken = Padded(_sent(batch.answer.values, frames.values), batch.answer.host_lengths - 1)
        if language_model:
            audio, own = self.projector(frames, spoken)
            total, weight = self.answer_losses(batch, audio).sum() / tokens, self.projector.loss_weight
        else:
            own = self.projector.loss(frames, spoken)
            total, weight = frames.values.new_zeros(()), 1.0
        share = int(batch.answer.host_lengths.sum()) / tokens
        added = [] if own is None else [(self.projector.loss_name, weight * own / tokens)]
        for part in (self.adapters, self.projector):
            added += [(name, loss * share) for name, loss in part.losses().items()]
        self.losses = {}
        for name, loss in added:
            total = total + loss
            self.losses[name] = self.losses.get(name, 0.0) + loss.detach()
        return total

    def frames(self, features: Padded) -> Padded:
        """Return the input (B,T,D) of the projector, in fp32 like all trained parameters.

        They are in fp64 where the whole model is.
        """
        frames = self.adapter.after(self._encoded(features))
        dtype = torch.promote_types(self.decoder.embeddings.dtype, torch.float32)
        return frames.to(frames.values.device, dtype)

    def _encoded(self, features: Padded) -> Padded:
        """Return the output (B,T,D) of the encoder; of kept frames only what is not computed yet."""
        if isinstance(features, Waveforms):
            features = self._features(features)
        if not isinstance(features, Frames):
            return self.encoder(features, self.adapter.tap)  # type: ignore[no-any-return]
        if self.adapter.first_layer is None:
            return features
        frames = features.holding(features.values.to(next(self.encoder.parameters()).dtype))
        return self.encoder.from_layer(self.adapter.first_layer, frames, self.adapter.tap)

    @torch.no_grad()
    def _features(self, waveforms: Waveforms) -> Padded:
        with torch.autocast(waveforms.values.device.type, enabled=False):  # spectra need fp32
            return self.encoder.features_of(waveforms)

    @property
    def pooling(self) -> PoolConfig | None:
        """The projector's time pooling, where it is the first thing that happens to the encoder's output."""
        return self.projector.begins_with if isinstance(self.adapter, NoAdapter) else None

    @property
    def keepable(self) -> bool:
        """Whether the encoder computes something of every clip that no adapter changes and that can be kept.

        It is the encoder's output, or the input of the first layer that an adapter changes, where the
        encoder can begin there.
        """
        layer = self.adapter.first_layer
        return layer is None or (layer > 0 and self.encoder.divisible)

    def audio(self, features: Padded) -> Padded:
        """Return the audio tokens (B,A,H)."""
        audio: Padded = self.projector(self.frames(features))[0]
        return audio

    def answer_losses(self, batch: Batch, audio: Padded) -> torch.Tensor:
        """Return the cross-entropy of every answer token and EOS of the batch, row after row (N,)."""
        return self._cross_entropy(self._predicting(batch, audio), torch.cat(batch.answer.rows()))

    def _cross_entropy(self, hidden: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy (N,) of labels (N,) by the hidden states (N,H) that predict them."""
        labels = _sent(labels, hidden)
        most = max(self.most_logits // len(self.decoder.embeddings), 1) if self.most_logits else len(labels)
        if len(labels) <= most:
            return self._losses(hidden, labels)
        parts = zip(torch.split(hidden, most), torch.split(labels, most), strict=True)
        return torch.cat([recomputed(self._losses, *part) for part in parts])

    def _losses(self, hidden: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(self.decoder.logits(hidden).float(), labels, reduction="none")

    @property
    def branching(self) -> bool:
        """Whether `branch_losses` may be called: nothing but the decoder decides what a position sees."""
        return self.decoder_adapter is None and self.decoder.branching

    def branch_losses(self, row: Batch, audio: Padded, answers: Sequence[Sequence[int]]) -> torch.Tensor:
        """Return the summed cross-entropy of each of several answers, with their end, to one row (N,).

        The same numbers as of `answer_losses` with a row for each answer.

        :param answers: token ids without the end token.
        """
        tree = Tree.of(answers)
        inputs, prefix = self.inputs(row, audio, answered=False)
        nodes = self.decoder.embed(torch.tensor(tree.tokens, dtype=torch.long, device=inputs.values.device))
        whole = Padded.stack([torch.cat([inputs.values[0], nodes])])
        hidden = self.decoder.branched(whole, tree, prefix)[0, -1 - len(nodes) :]  # (1+nodes,H)
        places, labels = tree.predictions(row.ends[0])
        return tree.sums(self._cross_entropy(hidden[places], torch.tensor(labels)))

    def answer_logits(self, batch: Batch, audio: Padded) -> torch.Tensor:
        """Return the logits that predict every answer token and EOS of the batch, row after row (N,V).

        The head is applied at these positions only: the same numbers, for a fraction of the work.
        """
        return self.decoder.logits(self._predicting(batch, audio))

    @torch.no_grad()
    def answer_attention(self, batch: Batch, audio: Padded) -> torch.Tensor | None:
        """Return what each answer token of a batch of one row attends to in the audio (heads,Y,A).

        The weights are those of the position that predicts the token, of the heads of all layers; None where
        the decoder's cannot be read, or there is no audio. EOS is left out.
        """
        count, tokens = len(batch.answer.rows()[0]), len(audio.rows()[0])
        inputs, prefix = self.inputs(batch, audio, answered=True)
        behind = len(batch.after.rows()[0]) + count - 1
        keys = range(-behind - tokens, -behind)
        with unrecorded(), self.decoder.attending(count, keys) as layers:
            if layers is not None:
                self.hidden(inputs, prefix, self.decoder.new_cache(prefix, 1))  # a cache: it is not packed
        return torch.cat(layers)[:, :-1] if layers and tokens else None

    def _predicting(self, batch: Batch, audio: Padded) -> torch.Tensor:
        """Return the hidden states (N,H) that predict every answer token and EOS, row after row."""
        inputs, prefix = self.inputs(batch, audio, answered=True)
        hidden = self.hidden(inputs, prefix)  # (B,S,H)
        # A row ends with its answer's last token before EOS: EOS is predicted and never an input.
        ends = inputs.host_lengths + hidden.shape[1] * torch.arange(
            len(inputs)
        )  # (B,), in all rows one by one
        answers = zip(ends.tolist(), batch.answer.host_lengths.tolist(), strict=True)
        places = torch.cat([torch.arange(end - length, end) for end, length in answers])  # (N,)
        return hidden.flatten(0, 1).index_select(0, _sent(places, hidden))

    def hidden(self, inputs: Padded, prefix: Prefix, cache: Any = None) -> torch.Tensor:
        """Return the last hidden states (B,S,H) of right-padded inputs (B,S,H) that follow the prefix."""
        if self.decoder.packing and cache is None:
            return self._adapted(self.decoder.packed(inputs, prefix), inputs)
        before = prefix[0][0].shape[2] if prefix else 0
        if prefix and cache is None:
            cache = self.decoder.new_cache(prefix, len(inputs))
        return self._adapted(self.decoder.right_padded(inputs, before, cache), inputs)

    def positions(
        self, inputs: Padded, mask: torch.Tensor, positions: torch.Tensor, cache: Any
    ) -> torch.Tensor:
        """Return what the decoder's head reads (B,S,H): see `Decoder.hidden`."""
        return self._adapted(self.decoder.hidden(inputs.values, mask, positions, cache), inputs)

    def _adapted(self, hidden: torch.Tensor, inputs: Padded) -> torch.Tensor:
        if self.decoder_adapter is None:
            return hidden
        return self.decoder_adapter.after(inputs.holding(hidden)).values

    def inputs(self, batch: Batch, audio: Padded, *, answered: bool) -> tuple[Padded, Prefix]:
        """Return embeddings (B,S,H) of the rows, without the answer's EOS, and the prefix."""
        # The last shared token stays in the rows: the first answer token needs a position that predicts it.
        shared = batch.shared_before()[:-1] if self.prefixed else []
        texts, places = [], []
        parts = zip(batch.before.rows(), audio.rows(), batch.after.rows(), batch.answer.rows(), strict=True)
        for before, tokens, after, answer in parts:
            read = answer[:-1] if answered else answer[:0]
            own = before[len(shared) :]
            if not len(before) + len(tokens) + len(after):
                own = before.new_tensor([self.decoder.eos])  # a position that predicts the first answer token
            texts.append(torch.cat([own, after, read]))
            places.append(len(own))
        prompt = None if self.decoder_adapter is None else self.decoder_adapter.prompt()  # (P,H)
        # One call for all rows: ZeRO-3 needs the same calls in every process, whatever its number of rows.
        ids = _sent(torch.cat(texts), audio.values)
        embeds = torch.split(self.decoder.embed(ids), [len(text) for text in texts])
        start = [] if prompt is None else [prompt.to(self.decoder.embeddings.dtype)]
        rows = [
            torch.cat([*start, text[:place], tokens.to(text.dtype), text[place:]])
            for text, place, tokens in zip(embeds, places, audio.rows(), strict=True)
        ]
        return Padded.stack(rows), self.decoder.prefix(shared)

    def without_audio(self, batch: Batch) -> Padded:
        """Return zero audio tokens for every row: the control that answers from the text alone."""
        table = self.decoder.embeddings
        return Padded(table.new_zeros(len(batch.ids), 0, self.decoder.width), batch.answer.host_lengths * 0)


def _sent(tensor: torch.Tensor, to: torch.Tensor) -> torch.Tensor:
    """Return a tensor of the host on the device of another, without a wait for it."""
    return tensor.to(to.device, non_blocking=True)
