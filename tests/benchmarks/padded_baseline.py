"""What the engine is compared with: a training step with padding everywhere, as the research code has it.

Written after the original SteerMoE training scripts (arXiv 2510.13558):

* audio is padded to 30 s: 3000 mel frames, 1500 encoder frames, 375 audio tokens after max pooling by 4;
* the text (prompt, answer, EOS, padding) is padded to 448 tokens, so every row has 823 positions;
* the attention mask is one everywhere, over all padding;
* the language model computes logits at all positions; labels are -100 where there is nothing to learn;
* the router computes the logits of all layers at each layer, of which a slice is used.

It has the engine's weights. Its numbers differ from the engine's: it attends to padding.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from steermoe_core.data.layout import Batch
    from tests.benchmarks.lab import Lab

MEL_FRAMES = 3000
TEXT = 448
POOL = 4
IGNORED = -100


class PaddedBaseline(nn.Module):
    """Whisper, layer-wise steering, a linear projector and a language model, on padded batches."""

    def __init__(self, lab: Lab) -> None:
        super().__init__()
        self.whisper = lab.model.encoder.model
        self.adapter = lab.model.adapter
        self.map = lab.model.projector.map
        self.llm = lab.model.decoder.model

    def train_on(self, batches: Sequence[Batch]) -> list[float]:
        """Make one step a batch; return the CPU seconds of each."""
        optimizer = torch.optim.AdamW([p for p in self.parameters() if p.requires_grad])
        seconds = []
        for batch in batches:
            mel, text, labels = padded(batch)
            begun = time.process_time()
            self(mel, text, labels).backward()
            optimizer.step()
            optimizer.zero_grad()
            seconds.append(time.process_time() - begun)
        return seconds

    def forward(self, mel: Tensor, text: Tensor, labels: Tensor) -> Tensor:
        """Return the loss.

        :param mel: (B,3000,M).
        :param text: (B,448) ids of prompt, answer, EOS, padding.
        :param labels: (B,448), -100 at prompt and padding.
        """
        audio = self.map(self.encode(mel))  # (B,375,H)
        embeds = torch.cat([audio, self.llm.get_input_embeddings()(text)], dim=1)  # (B,823,H)
        silent = torch.full(audio.shape[:2], IGNORED)
        mask = torch.ones(embeds.shape[:2], dtype=torch.long)
        return self.llm(
            inputs_embeds=embeds,
            attention_mask=mask,
            labels=torch.cat([silent, labels], dim=1),
            use_cache=False,
        ).loss

    def encode(self, mel: Tensor) -> Tensor:
        """Return pooled frames (B,375,D)."""
        hidden = F.gelu(self.whisper.conv1(mel.transpose(1, 2)))
        hidden = F.gelu(self.whisper.conv2(hidden)).transpose(1, 2)
        hidden = hidden + self.whisper.embed_positions.weight
        for number, layer in enumerate(self.whisper.layers):
            hidden = self.steer(layer(hidden, None), number)
        hidden = F.max_pool1d(hidden.transpose(1, 2), POOL).transpose(1, 2)
        return self.whisper.layer_norm(hidden)

    def steer(self, hidden: Tensor, layer: int) -> Tensor:
        """Add the layer's mixture of vectors: the logits (B,1500,L·E) of all layers, then this layer's."""
        weight, bias = self.adapter.router.weight, self.adapter.router.bias  # (L,E,D), (L,E)
        logits = F.linear(hidden, weight.flatten(0, 1), bias.flatten())
        gates = logits.unflatten(-1, bias.shape)[..., layer, :].softmax(-1)
        return hidden + self.adapter.scales[layer] * (gates @ self.adapter.vectors[layer])


def padded(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Return a batch of the engine as mel (B,3000,M), text (B,448) and labels (B,448)."""
    mel = F.pad(batch.features.values, (0, 0, 0, MEL_FRAMES - batch.features.values.shape[1]))
    text = torch.zeros(len(batch), TEXT, dtype=torch.long)
    labels = torch.full((len(batch), TEXT), IGNORED)
    rows = zip(batch.before.rows(), batch.after.rows(), batch.answer.rows(), strict=True)
    for number, (before, after, answer) in enumerate(rows):
        prompt = len(before) + len(after)
        text[number, : prompt + len(answer)] = torch.cat([before, after, answer])
        labels[number, prompt : prompt + len(answer)] = answer
    return mel, text, labels
