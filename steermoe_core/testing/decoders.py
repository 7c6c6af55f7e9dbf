"""The checks of a language model: what the joined model asks of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from steermoe_core.component import PACKING
from steermoe_core.data.padded import Padded
from steermoe_core.model.decoder import Decoder
from steermoe_core.testing.modules import ModuleSuite, backward, numbers
from steermoe_core.testing.suite import needs

_LENGTH = 6


class DecoderSuite(ModuleSuite):
    """Checks of a `Decoder`."""

    kind = "decoder"

    @property
    def decoder(self) -> Decoder:
        """The language model, built once."""
        if self._shared.part is None:
            self._shared.part = self.seeded()
        part: Decoder = self._shared.part
        return part

    def check_type(self, part: Any) -> None:
        """Refuse what is no decoder."""
        self.expect_instance(part, Decoder)

    @needs("builds")
    def test_declares(self) -> None:
        """`width` and `context` are whole numbers; the tokenizer's EOS is in the embedding table (V,H)."""
        decoder = self.decoder
        for name in ("width", "context"):
            value = getattr(decoder, name, None)
            self.expect(
                isinstance(value, int) and value > 0, f"{name} is {value!r}, expected a whole number above 0"
            )
        shape = tuple(decoder.embeddings.shape)
        right = len(shape) == 2 and shape[1] == decoder.width  # noqa: PLR2004
        self.expect(right, f"embeddings is {shape}, expected (V,H) with H = width = {decoder.width}")
        end = decoder.tokenizer.eos_token_id
        self.expect(
            end is not None and end < shape[0],
            f"the tokenizer's EOS is {end}, expected one of {shape[0]} tokens",
        )

    @needs("declares")
    def test_shapes(self) -> None:
        """`embed` gives rows of `embeddings`; hidden states are (B,S,H) and logits (…,V), finite."""
        decoder, ids = self.decoder, self._ids()
        rows = decoder.embeddings[ids]
        self.expect_close(
            decoder.embed(ids), rows, "embed() gives other vectors than the rows of embeddings (by {})"
        )
        hidden = self._hidden(rows)
        wanted = (*ids.shape, decoder.width)
        self.expect(
            tuple(hidden.shape) == wanted, f"hidden states are {tuple(hidden.shape)}, expected {wanted}"
        )
        logits = decoder.logits(hidden)
        right = tuple(logits.shape) == (*ids.shape, len(decoder.embeddings)) and bool(logits.isfinite().all())
        self.expect(right, f"logits are {tuple(logits.shape)}, expected finite numbers (B,S,V)")

    @needs("builds")
    def test_frozen(self) -> None:
        """No parameter is trainable, and a training model around it leaves it in eval mode."""
        decoder = self.seeded()
        free = [name for name, parameter in decoder.named_parameters() if parameter.requires_grad]
        self.expect(not free, f"{free[:1]} would be trained: call self.freeze() at the end of __init__")
        nn.ModuleList([decoder]).train()
        awake = [name for name, module in decoder.named_modules() if module.training]
        self.expect(
            not awake, f"in a training model {awake[:1]} is in training mode: leave train() as Decoder has it"
        )

    @needs("shapes")
    def test_causal(self) -> None:
        """A hidden state depends on what stands before it alone."""
        embeds = self.decoder.embed(self._ids())
        changed = embeds.clone()
        changed[:, -1] = embeds[:, 0]
        one, other = self._hidden(embeds), self._hidden(changed)
        message = "hidden states change with what comes after them (by {}): attention must be causal"
        self.expect_close(one[:, :-1], other[:, :-1], message)

    @needs("causal")
    def test_padding_invariance(self) -> None:
        """Right padding and batch-mates leave the hidden states of a row as they are."""
        embeds = self.decoder.embed(self._ids())
        mask = torch.ones(embeds.shape[:2], dtype=torch.long)
        mask[0, 4:] = 0
        together = self._hidden(embeds, mask)
        for row, length in ((0, 4), (1, _LENGTH)):
            alone = self._hidden(embeds[row : row + 1, :length])
            message = (
                f"row {row} has other hidden states in a padded batch than alone (by {{}}): use the mask"
            )
            self.expect_close(together[row, :length], alone[0], message)

    @needs("padding_invariance")
    def test_right_padded(self) -> None:
        """`right_padded` gives each row the hidden states that `hidden` gives with a mask."""
        embeds = self.decoder.embed(self._ids())
        rows = Padded(embeds, torch.tensor([4, _LENGTH]))
        with torch.no_grad():
            found = self.decoder.right_padded(rows, 0, None)
        masked = self._hidden(embeds, rows.mask.long())
        for row, length in ((0, 4), (1, _LENGTH)):
            message = f"row {row} has other hidden states in right_padded() than in hidden() (by {{}})"
            self.expect_close(found[row, :length], masked[row, :length], message)

    @needs("causal")
    def test_prefix(self) -> None:
        """What follows a prefix has the hidden states that it has behind the same tokens in its row."""
        decoder, ids = self.decoder, self._ids()
        whole = self._hidden(decoder.embed(ids[:1]))
        start = 2
        cache = decoder.new_cache(decoder.prefix(ids[0, :start].tolist()), 1)
        positions = torch.arange(start, _LENGTH)[None]
        with torch.no_grad():
            rest = decoder.hidden(
                decoder.embed(ids[:1, start:]), torch.ones(1, _LENGTH).long(), positions, cache
            )
        message = (
            "behind a prefix hidden states are others than in one pass (by {}): mask and positions count it"
        )
        self.expect_close(whole[:, start:], rest, message)

    @needs("padding_invariance", "prefix")
    def test_packing(self) -> None:
        """With `gives = ("packing",)`, `packed` gives the hidden states of each row, behind a prefix too."""
        self.require(PACKING)
        decoder, ids = self.decoder, self._ids()
        for start in (0, 2):
            inputs = Padded(decoder.embed(ids[:, start:]), torch.tensor([2, _LENGTH - start]))
            prefix = decoder.prefix(ids[0, :start].tolist())
            with torch.no_grad():
                found = decoder.packed(inputs, prefix)
            for number, row in enumerate(inputs.rows()):
                whole = torch.cat([decoder.embed(ids[0, :start]), row])
                message = f"packed, row {number} has other hidden states than alone (by {{}})"
                self.expect_close(found[number, : len(row)], self._hidden(whole[None])[0, start:], message)

    @needs("shapes")
    def test_gradients(self) -> None:
        """The logits have a gradient to the input embeddings, with `recompute` the same one."""
        decoder = self.decoder
        gradients = []
        for recompute in (False, True):
            embeds = decoder.embed(self._ids()).detach().requires_grad_()
            decoder.recompute = recompute
            try:
                logits = decoder.logits(decoder.hidden(embeds, *self._places(embeds), None))
                backward((logits * numbers(*logits.shape)).sum())
            finally:
                decoder.recompute = False
            found = torch.zeros_like(embeds) if embeds.grad is None else embeds.grad
            reached = bool(found.any())
            self.expect(
                reached, "no gradient from the logits reaches the input embeddings: nothing before can learn"
            )
            gradients.append(found)
        plain, again = gradients
        self.expect_close(plain, again, "with train.recompute the gradient is another (by {})")

    def _ids(self) -> torch.Tensor:
        size = len(self.decoder.embeddings)
        return torch.arange(2 * _LENGTH).reshape(2, _LENGTH) % size

    def _places(self, embeds: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rows, length = embeds.shape[:2]
        return torch.ones(rows, length).long(), torch.arange(length).expand(rows, -1)

    @torch.no_grad()
    def _hidden(self, embeds: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        ones, positions = self._places(embeds)
        return self.decoder.hidden(embeds, ones if mask is None else mask, positions, None)
