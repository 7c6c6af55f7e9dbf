"""Training by hand: the engine's mathematics in plain PyTorch, without its modules and without a Trainer.

Only the frozen layers are transformers' own. The batches are made beforehand. The loop does no unnecessary
work either: it computes the prompt's keys and values once and applies the head at answer positions only.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F  # noqa: N812 - the name everybody reads
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from steermoe_core.data.layout import Batch
    from tests.benchmarks.lab import Lab

POOL = 4


class BareLoop:
    """Steering (or none), a linear or soft-CTC projector, the loss on the answer, AdamW, a clip a group."""

    def __init__(self, lab: Lab) -> None:
        self.whisper = lab.model.encoder.model
        self.llm = lab.model.decoder.model
        self.config = lab.experiment.train
        self.projector = lab.experiment.projector
        self.reads = lab.model.projector.start_steps == 0
        self.start = lab.start
        self.prefix: list[tuple[Tensor, Tensor]] | None = None

    def train(self, batches: Sequence[Batch]) -> tuple[list[float], list[float]]:
        """Train from the start; return the CPU seconds and the loss of each step."""
        self.trained = {name: tensor.clone() for name, tensor in self.start.items()}
        for tensor in self.trained.values():
            tensor.requires_grad_(tensor.is_floating_point())
        self.rows = self._rows()
        groups = self._groups()
        optimizer = torch.optim.AdamW(groups)
        seconds, losses = [], []
        for batch in batches:
            begun = time.process_time()
            loss = self.loss(batch)
            loss.backward()
            for name in {group["name"] for group in groups}:
                of_name = [p for group in groups if group["name"] == name for p in group["params"]]
                torch.nn.utils.clip_grad_norm_(of_name, self.config.clip)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
            seconds.append(time.process_time() - begun)
        return seconds, losses

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean loss of an answer token."""
        frames, lengths = self.encode(batch.features.values, batch.features.lengths)
        tokens = int(batch.answer.lengths.sum())
        if self.projector.name == "linear":
            return self.read(batch, self.pooled(frames, lengths)) / tokens
        logits = self.classes(frames)
        ctc = self.ctc(batch, logits, lengths)
        if not self.reads:
            return ctc / tokens
        audio = self.mixtures(logits, lengths)
        return (self.projector.config.weight * ctc + self.read(batch, audio)) / tokens

    def encode(self, mel: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return frames (B,T',D) and their lengths of log-mels (B,T,M)."""
        whisper = self.whisper
        mask = torch.arange(mel.shape[1]) < lengths[:, None]
        hidden = F.gelu(whisper.conv1((mel * mask[..., None]).transpose(1, 2)))
        hidden = F.gelu(whisper.conv2(hidden * mask[:, None])).transpose(1, 2)
        hidden = hidden + whisper.embed_positions.weight[: hidden.shape[1]]
        lengths = (lengths + 1) // 2
        seen = (torch.arange(hidden.shape[1]) < lengths[:, None])[:, None, None]
        bias = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)
        for number, layer in enumerate(whisper.layers):
            hidden = layer(hidden, bias)
            if "adapter.vectors" in self.trained:
                hidden = self.steered(hidden, number)
        return whisper.layer_norm(hidden), lengths

    def steered(self, hidden: Tensor, layer: int) -> Tensor:
        """Add the layer's mixture of vectors to every frame (B,T',D)."""
        names = ("router.weight", "router.bias", "vectors", "scales")
        weight, bias, vectors, scale = (self.trained[f"adapter.{name}"][layer] for name in names)
        gates = F.linear(hidden, weight, bias).softmax(-1)
        return hidden + scale * (gates @ vectors)

    def projected(self, frames: Tensor) -> Tensor:
        """Apply the trained linear map."""
        return F.linear(frames, self.trained["projector.map.weight"], self.trained["projector.map.bias"])

    def pooled(self, frames: Tensor, lengths: Tensor) -> list[Tensor]:
        """Return each clip's audio tokens (A,H): means of four frames, mapped."""
        found = []
        for clip, length in zip(frames, lengths.tolist(), strict=True):
            found.append(torch.stack([window.mean(0) for window in clip[:length].split(POOL)]))
        mapped = self.projected(torch.cat(found))
        return list(mapped.split([len(clip) for clip in found]))

    def classes(self, frames: Tensor) -> Tensor:
        """Return logits (B,T',1+C): scaled cosines to the blank and to the embeddings of the vocabulary."""
        names = F.normalize(torch.cat([self.trained["projector.blank"][None], self.rows]), dim=-1)
        cosines = F.normalize(self.projected(frames), dim=-1) @ names.T
        bias = torch.cat([self.trained["projector.blank_bias"], torch.zeros(len(self.rows))])
        return self.trained["projector.log_scale"].exp() * cosines + bias

    def ctc(self, batch: Batch, logits: Tensor, lengths: Tensor) -> Tensor:
        """Return the CTC loss summed over clips."""
        known = self.trained["projector.vocabulary"].nonzero()[:, 0]
        targets = 1 + torch.searchsorted(known, batch.answer.values)
        posteriors = logits.log_softmax(-1).transpose(0, 1)
        spoken = batch.answer.lengths - 1  # nobody says EOS
        return F.ctc_loss(posteriors, targets, lengths, spoken, reduction="sum", zero_infinity=True)

    def mixtures(self, logits: Tensor, lengths: Tensor) -> list[Tensor]:
        """Return each clip's audio tokens (A,H): a mean over each run of one best class, blanks left out."""
        best, found = logits.argmax(-1), []
        for clip, length in enumerate(lengths.tolist()):
            kinds, runs = best[clip, :length].unique_consecutive(return_counts=True)
            parts = logits[clip, :length].split(runs.tolist())
            spoken = [part for kind, part in zip(kinds.tolist(), parts, strict=True) if kind]
            means = [part[:, 1:].mul(self.projector.config.sharpness).softmax(-1).mean(0) for part in spoken]
            found.append(torch.stack(means) @ self.rows if means else self.rows[:0])
        return found

    def read(self, batch: Batch, audio: list[Tensor]) -> Tensor:
        """Return the language model's loss summed over answer tokens."""
        embed = self.llm.get_input_embeddings()
        rows, places, labels = [], [], []
        for number, (before, heard, after, answer) in enumerate(
            zip(batch.before.rows(), audio, batch.after.rows(), batch.answer.rows(), strict=True)
        ):
            row = torch.cat([embed(before[-1:]), heard, embed(torch.cat([after, answer[:-1]]))])
            places += [(number, place) for place in range(len(row) - len(answer), len(row))]
            labels.append(answer)
            rows.append(row)
        hidden = self._decoded(batch.before.rows()[0][:-1], rows)
        chosen = torch.tensor(places).unbind(1)
        logits = self.llm.get_output_embeddings()(hidden[chosen])
        return F.cross_entropy(logits, torch.cat(labels), reduction="sum")

    def _decoded(self, shared: Tensor, rows: list[Tensor]) -> Tensor:
        body = self.llm.get_decoder()
        if self.prefix is None:
            with torch.no_grad():
                cache = body(input_ids=shared[None], use_cache=True).past_key_values
            self.prefix = [(layer.keys, layer.values) for layer in cache.layers]
        lengths = torch.tensor([len(shared) + len(row) for row in rows])
        keys = [tuple(part.expand(len(rows), -1, -1, -1) for part in layer) for layer in self.prefix]
        return body(
            inputs_embeds=pad_sequence(rows, batch_first=True),
            attention_mask=(torch.arange(int(lengths.max())) < lengths[:, None]).long(),
            past_key_values=DynamicCache(keys),
        ).last_hidden_state

    def _rows(self) -> Tensor:
        """Return the embeddings (C,H) of the tokens that the CTC head knows."""
        known = self.trained.get("projector.vocabulary")
        return self.llm.get_input_embeddings().weight[known] if known is not None else torch.empty(0)

    def _groups(self) -> list[dict[str, object]]:
        rates = self.config.learning_rate
        names = {"adapter.vectors": "steering", "adapter.scales": "scales"}
        groups = []
        for key, tensor in self.trained.items():
            if tensor.requires_grad:
                name = names.get(key, "router" if "router" in key else "projector")
                decay = self.config.decay_of(name) if tensor.ndim > 1 else 0.0
                groups.append({"params": [tensor], "lr": rates[name], "weight_decay": decay, "name": name})
        return groups
