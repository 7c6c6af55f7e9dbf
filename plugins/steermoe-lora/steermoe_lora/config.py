"""Settings of LoRA and of its analysis; cheap to import."""

from __future__ import annotations

from typing import Literal

import attrs
from attrs.validators import deep_iterable, ge, gt, le, lt


@attrs.frozen(kw_only=True)
class LoraConfig:
    """Low-rank matrices beside frozen linear maps: y = W x + alpha / rank · B (A x).

    :param on: the frozen part that gets them.
    :param rank: rows of A and columns of B.
    :param alpha: the product of B and A counts alpha / rank times.
    :param dropout: share of the numbers of x that A does not see in training.
    :param target_modules: names of linear maps, read from the right (`fc1`, `self_attn.q_proj`); empty takes
        every linear map in the layers.
    :param layers: numbers of the layers that get them, from 0; empty takes all.
    """

    on: Literal["encoder", "decoder"] = "encoder"
    rank: int = attrs.field(default=8, validator=[gt(0), le(100_000)])
    alpha: float = attrs.field(default=16.0, validator=[gt(0.0), le(100_000.0)])
    dropout: float = attrs.field(default=0.0, validator=[ge(0.0), lt(1.0)])
    target_modules: list[str] = attrs.field(factory=list)
    layers: list[int] = attrs.field(factory=list, validator=deep_iterable(ge(0)))


@attrs.frozen(kw_only=True)
class LoraAnalysisConfig:
    """Writes the norms of every adapted map into metrics.jsonl.

    :param every: steps between two records.
    """

    every: int = attrs.field(default=100, validator=gt(0))
