"""Settings of the components that the tests of this folder choose from; one class a component."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import attrs
from attrs.validators import deep_iterable, ge, gt, in_, matches_re, min_len

from steermoe_core.component import Selection, choose


@attrs.frozen(kw_only=True)
class Nothing:
    """No settings."""


@attrs.frozen(kw_only=True)
class Whisper:
    """An encoder."""

    weights: str
    dtype: Literal["float32", "bfloat16"] = "float32"
    trim: bool = True


@attrs.frozen(kw_only=True)
class Pool:
    """A table inside a component."""

    kind: Literal["avg", "max"] = "avg"
    kernel: int = attrs.field(default=4, validator=gt(0))


@attrs.frozen(kw_only=True)
class Linear:
    """A projector: a nested table, a union, an optional key, an optional table and a list."""

    pool: Pool = attrs.field(factory=Pool)
    rate: float | Pool = 0.5
    hidden: int | None = None
    extra: Pool | None = None
    widths: list[int] = attrs.field(factory=list, validator=deep_iterable(ge(1)))


@attrs.frozen(kw_only=True)
class Steering:
    """An adapter that chooses a router."""

    experts: int = attrs.field(default=8, validator=gt(0))
    router: Selection = choose("router", default="softmax")
    helper: Selection | None = choose("router", default="")


@attrs.frozen(kw_only=True)
class Topk:
    """A router."""

    k: int = attrs.field(default=2, validator=gt(0))


@attrs.frozen(kw_only=True)
class Decoder:
    """A decoder with free-form options, a pair, a choice of numbers and a pattern."""

    weights: str
    options: dict[str, Any] = attrs.field(factory=dict)
    span: tuple[int, int] = (0, 1)
    beams: Literal[1, 2, 4] = 1
    revision: str = attrs.field(default="main", validator=matches_re("[a-z]+"))

    @property
    def requires(self) -> tuple[str, ...]:
        """Packages that these settings need."""
        return ("no-such-reader>=2",) if self.weights.endswith(".gguf") else ()


@attrs.frozen(kw_only=True)
class Folder:
    """A dataset in a folder."""

    path: Path
    split: str = "train"
    cache: Path = Path("cache")
    names: list[str] = attrs.field(factory=lambda: ["all"], validator=min_len(1))


@attrs.frozen(kw_only=True)
class Wer:
    """A metric whose choices are an attrs validator and whose limits meet after init."""

    mode: str = attrs.field(default="words", validator=in_(["words", "chars"]))
    low: int = 0
    high: int = 10

    def __attrs_post_init__(self) -> None:
        """Check both bounds together."""
        if self.low > self.high:
            msg = f"low is {self.low}, high is {self.high}"
            raise ValueError(msg)


@attrs.frozen(kw_only=True)
class Unexpressible:
    """A setting whose type no TOML value has."""

    size: complex = 0j


class NotAttrs:
    """Not a settings class."""
