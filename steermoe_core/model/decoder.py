"""The frozen language model: embeddings in, hidden states and logits out, with a prefix computed once."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from steermoe_core.data.padded import Padded
from steermoe_core.errors import SetupError
from steermoe_core.model.attention import Record, recording
from steermoe_core.model.encoder import Tap, Tower, untouched
from steermoe_core.model.known import LANGUAGE_MODELS
from steermoe_core.model.packing import Packing, packable
from steermoe_core.model.quantised import quantise
from steermoe_core.model.recompute import recomputed
from steermoe_core.model.tree import additive
from steermoe_core.model.weights import prepared, pretrained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from steermoe_core.model.config import CausalLMConfig
    from steermoe_core.model.tree import Tree

#: Keys and values of a prefix, one pair of (1,heads,P,d) a layer.
Prefix = list[tuple[torch.Tensor, torch.Tensor]]


class Decoder(Tower):
    """A frozen causal language model and its tokenizer.

    A decoder whose component gives ``layer-taps`` calls `tap` after each of its `layers` in `hidden`, with
    the positions of `embeds` as right-padded frames (B,S,H), and continues with the result.

    :ivar tokenizer: a Hugging Face tokenizer; None in a plan for a machine that does not have it.
    :ivar width: width H of its embeddings.
    :ivar context: longest sequence in positions.
    :ivar tap: what adapters on the decoder do after each layer; set by the joined model.
    """

    tokenizer: Any
    context: int
    layers = 0
    tap: Tap = staticmethod(untouched)

    @property
    @abstractmethod
    def embeddings(self) -> torch.Tensor:
        """The frozen embedding table (V,H)."""

    @abstractmethod
    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the embeddings (…,H) of token ids (…)."""

    @abstractmethod
    def hidden(
        self, embeds: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: Any
    ) -> torch.Tensor:
        """Return the last hidden states (B,S,H).

        :param embeds: input embeddings (B,S,H).
        :param mask: (B,C+S), true at real positions of the cache and of the inputs.
        :param positions: (B,S), the position of each input in its own row.
        :param cache: of `new_cache`, extended in place; None for no cache.
        """

    def right_padded(self, rows: Padded, before: int, cache: Any) -> torch.Tensor:
        """Return the last hidden states (B,S,H) of right-padded embeddings (B,S,H).

        Causal attention keeps padding at the end from every real position, so that a decoder may override
        this and leave the mask out.

        :param before: positions in the cache that come before every row.
        """
        mask = nn.functional.pad(rows.mask.long(), (before, 0), value=1)  # (B,C+S)
        positions = before + torch.arange(rows.values.shape[1], device=mask.device)
        return self.hidden(rows.values, mask, positions.expand(len(rows), -1), cache)

    def packed(self, inputs: Padded, prefix: Prefix) -> torch.Tensor:
        """Return the last hidden states (B,S,H) of right-padded inputs (B,S,H), without computing padding.

        The same numbers as of `hidden`; those of padding are of no account. Called where `packing` is true,
        which needs a decoder whose component gives ``packing``.

        :param prefix: what all rows follow.
        """
        raise NotImplementedError

    @property
    def branching(self) -> bool:
        """Whether `branched` computes answers as a tree."""
        return False

    def branched(self, inputs: Padded, tree: Tree, prefix: Prefix) -> torch.Tensor:
        """Return the last hidden states (1,S,H) of one row (1,S,H), which ends with the tokens of a tree.

        The positions of a tree's nodes are those in their own answers. Called where `branching` is true.

        :param prefix: what the row follows.
        """
        raise NotImplementedError

    @contextmanager
    def attending(self, last: int, keys: range) -> Iterator[list[torch.Tensor] | None]:
        """Give a list that fills with what a row attends to while `hidden` computes it inside the block.

        Each layer adds the weights (heads,last,keys) of the last positions of the only row. There is no list
        where they cannot be read.

        :param keys: positions counted from the end of the row, all negative.
        """
        del last, keys
        yield None

    @abstractmethod
    def new_cache(self, prefix: Prefix, batch: int) -> Any:
        """Return a key-value cache that starts with the prefix, for a batch of rows.

        Its `layers` have `keys` and `values` (B,heads,C,d) as those of transformers' caches.

        :param prefix: shared by all rows, or one of each row (B,heads,P,d).
        """

    @abstractmethod
    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return next-token logits (…,V) of hidden states (…,H)."""

    @abstractmethod
    def prefix(self, ids: list[int]) -> Prefix:
        """Return keys and values of token ids at the start of every sequence; computed once."""

    @property
    def eos(self) -> int:
        """The token that ends an answer."""
        return int(self.tokenizer.eos_token_id)


class CausalLM(Decoder):
    """Any `AutoModelForCausalLM`: a hub name, a local folder or a GGUF file."""

    def __init__(self, config: CausalLMConfig) -> None:
        super().__init__()
        from transformers import AutoModelForCausalLM

        self.tokenizer = load_tokenizer(config.weights)
        dtype = config.dtype if config.dtype == "auto" else getattr(torch, config.dtype)
        options = {"dtype": dtype, "attn_implementation": config.attention}
        self.model = pretrained(AutoModelForCausalLM, config.weights, known=LANGUAGE_MODELS, **options)
        if config.quantise != "none":
            quantise(self.model.get_decoder(), config.quantise)
        self.width = self.model.get_input_embeddings().weight.shape[1]
        self.context = getattr(self.model.config.get_text_config(), "max_position_embeddings", 2048)
        self._cap = getattr(self.model.config.get_text_config(), "final_logit_softcapping", None)
        self._prefixes: dict[tuple[Any, ...], Prefix] = {}
        self._recomputable = self._wrap_layers()
        self._rows = Padded(torch.zeros(0, 1), torch.zeros(0, dtype=torch.long))
        self._packing: Packing | None = None
        self.freeze()

    @property
    def embeddings(self) -> torch.Tensor:
        table: torch.Tensor = self.model.get_input_embeddings().weight
        return table

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        embeds: torch.Tensor = self.model.get_input_embeddings()(ids)
        return embeds

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model.get_output_embeddings()(hidden)
        return logits if self._cap is None else self._cap * torch.tanh(logits / self._cap)

    def hidden(
        self, embeds: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: Any
    ) -> torch.Tensor:
        rows = Padded(embeds, mask[:, -embeds.shape[1] :].sum(1))
        return self._states(rows, cache, attention_mask=mask, position_ids=positions)

    def right_padded(self, rows: Padded, before: int, cache: Any) -> torch.Tensor:
        from steermoe_core.model.cache import Passing

        if type(self).hidden is not CausalLM.hidden:  # a plugin changes what is computed there
            return super().right_padded(rows, before, cache)
        # Positions count on from the cache: the model's own default.
        return self._states(rows, Passing(config=self.model.config) if cache is None else cache)

    def packed(self, inputs: Padded, prefix: Prefix) -> torch.Tensor:
        config, before = self.model.get_decoder().config, prefix[0][0].shape[2] if prefix else 0
        self._check_apart(packable(self.model))
        packing = self._packing = Packing.of(inputs)
        row = packing.row(inputs)  # (1,N,H)
        mask = torch.ones(1, before + row.values.shape[1], dtype=torch.long, device=row.values.device)
        cache = self.new_cache(prefix, 1) if prefix else None
        try:
            with packing.attention(config):
                hidden = self.hidden(row.values, mask, before + packing.steps, cache)  # (1,N,H)
        finally:
            self._packing = None
        self._check_apart(packing.attended == self.layers)
        return packing.clips(row.holding(hidden)).values

    @property
    def branching(self) -> bool:
        full = set(getattr(self.model.get_decoder().config, "layer_types", None) or ()) <= {"full_attention"}
        masked = self.model.config._attn_implementation in ("sdpa", "eager")  # noqa: SLF001 - its only spelling
        return type(self).hidden is CausalLM.hidden and packable(self.model) and full and masked

    def branched(self, inputs: Padded, tree: Tree, prefix: Prefix) -> torch.Tensor:
        before, size = prefix[0][0].shape[2] if prefix else 0, inputs.values.shape[1]
        stem = size - len(tree.tokens)
        positions = torch.tensor([*range(stem), *(stem + depth for depth in tree.depths())])
        return self._states(
            inputs,
            self.new_cache(prefix, 1) if prefix else None,
            attention_mask=additive(tree.seen(stem), before, inputs.values),
            position_ids=before + positions[None].to(inputs.values.device),
        )

    @contextmanager
    def attending(self, last: int, keys: range) -> Iterator[list[torch.Tensor] | None]:
        record = Record(last, keys)
        if not packable(self.model):  # its positions see each other in another way, too
            yield None
            return
        with recording(self.model.get_decoder().config, record):
            yield record.layers

    def prefix(self, ids: list[int]) -> Prefix:
        device = self.embeddings.device
        autocast = torch.is_autocast_enabled(device.type)
        precision = torch.get_autocast_dtype(device.type) if autocast else self.embeddings.dtype
        key = (device, precision, *ids)
        if key not in self._prefixes:
            self._prefixes[key] = self._compute_prefix(ids) if ids else []
        return self._prefixes[key]

    def new_cache(self, prefix: Prefix, batch: int) -> Any:
        from transformers import DynamicCache

        from steermoe_core.model.cache import Unchanging, growing

        rows = [(keys.expand(batch, -1, -1, -1), values.expand(batch, -1, -1, -1)) for keys, values in prefix]
        if not torch.is_grad_enabled():
            return growing(rows)
        kind = Unchanging if self.recompute else DynamicCache
        return kind(rows or None, config=self.model.config)

    def _check_apart(self, apart: bool) -> None:  # noqa: FBT001
        if not apart:
            msg = (
                f"the layers of {type(self.model).__name__} do not keep several clips in a row apart; leave "
                '"decoder" out of train.packing'
            )
            raise SetupError(msg)

    def _wrap_layers(self) -> bool:
        """Make every layer obey `tap` and `recompute`; return whether layers can be recomputed.

        The switch of transformers for recomputation works in training mode only.
        """
        from transformers.modeling_layers import GradientCheckpointingLayer

        depth = self.model.config.get_text_config().num_hidden_layers
        lists = (m for m in self.model.get_decoder().modules() if isinstance(m, nn.ModuleList))
        stack: Any = next((one for one in lists if len(one) == depth), ())
        self.layers = len(stack)
        for number, layer in enumerate(stack):
            layer.forward = partial(self._layer, number, layer.forward)
        return all(isinstance(layer, GradientCheckpointingLayer) for layer in stack) and bool(stack)

    def _states(self, rows: Padded, cache: Any, **places: torch.Tensor) -> torch.Tensor:
        if self.recompute and not self._recomputable:
            msg = (
                f'{type(self.model).__name__} has no layers that can be recomputed; leave "decoder" out of '
                "train.recompute"
            )
            raise SetupError(msg)
        self._rows = rows.bare()  # for the tap
        states: torch.Tensor = self.model.get_decoder()(
            inputs_embeds=rows.values, past_key_values=cache, use_cache=cache is not None, **places
        ).last_hidden_state
        return states

    def _layer(self, number: int, forward: Callable[..., Any], *args: Any, **named: Any) -> Any:
        tap, rows = self.tap, self._rows  # of this pass, also when it is recomputed
        if self._packing is not None:
            forward = self._packing.attending(forward, self.model.get_decoder().config)
            tap = self._packing.tap(tap)
        elif self.fuse is not None and torch.is_grad_enabled():
            from steermoe_core.model.cache import preceding

            forward = self.fused(forward)
            named["past_key_values"] = preceding(named.get("past_key_values"), number)

        def tapped(*args: Any, **named: Any) -> Any:
            output = forward(*args, **named)
            if tap is untouched:
                return output
            hidden, *rest = output if isinstance(output, tuple) else (output,)
            hidden = tap(number, rows.holding(hidden)).values
            return (hidden, *rest) if isinstance(output, tuple) else hidden

        if self.recompute and torch.is_grad_enabled():
            return recomputed(tapped, *args, **named)
        return tapped(*args, **named)

    @torch.no_grad()
    def _compute_prefix(self, ids: list[int]) -> Prefix:
        from transformers import DynamicCache

        cache: Any = DynamicCache()  # without the config: a layer with a window would keep only the end
        tokens = torch.tensor([ids], device=self.embeddings.device)
        self.model.get_decoder()(input_ids=tokens, past_key_values=cache, use_cache=True)
        return [(layer.keys, layer.values) for layer in cache.layers]


def load_tokenizer(weights: str) -> Any:
    """Return the tokenizer that comes with the weights; a missing pad token becomes the EOS token.

    :returns: None in a plan for a machine that has no such tokenizer.
    """
    from transformers import AutoTokenizer

    tokenizer = prepared(AutoTokenizer, weights, lambda: None)
    if tokenizer is not None and tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
