"""Soft prompt (arXiv 2104.08691): trained embeddings before every sequence of the frozen decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from steermoe_core.errors import UsageError
from steermoe_core.model.adapter import Adapter

if TYPE_CHECKING:
    from steermoe_core.model.config import SoftPromptConfig
    from steermoe_core.model.decoder import Decoder


class SoftPrompt(Adapter):
    """P embeddings (P,H) that start as the decoder's own: of a text, or of tokens drawn at random."""

    first_layer = 0

    def __init__(self, config: SoftPromptConfig, tower: Decoder, build: object = None) -> None:
        super().__init__()
        table = tower.embeddings
        ids = torch.randint(len(table), (config.tokens,))  # drawn in any case: what follows starts alike
        if config.text:
            text = tower.tokenizer(config.text, add_special_tokens=False)["input_ids"]
            if not text:
                msg = f"adapter.text {config.text!r} has no tokens"
                raise UsageError(msg)
            ids = torch.tensor(text).repeat(-(-config.tokens // len(text)))[: config.tokens]
        with torch.no_grad():
            rows = tower.embed(ids.to(table.device))
        self.embeddings = nn.Parameter(rows.detach().float().clone())  # (P,H)

    def prompt(self) -> torch.Tensor:
        return self.embeddings

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {"soft-prompt": [self.embeddings]}
