"""Settings of the built-in model parts; cheap to import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs
from attrs.validators import deep_iterable, ge, gt, le, lt

from steermoe_core.component import Selection, choose
from steermoe_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


@attrs.frozen(kw_only=True)
class NoAdapterConfig:
    """Nothing is trained inside encoder and decoder."""


def chosen_layers(layers: Sequence[int], count: int, tower: str = "encoder") -> list[int]:
    """Return the numbers of the layers that `adapter.layers` chooses, in order; all where it is empty.

    :param count: layers that the tower has.
    :param tower: the encoder or the decoder.
    :raises UsageError: it names a layer that is not there, or there are none.
    """
    if not count:
        msg = f"the {tower} offers no layers to adapters; use an adapter that needs none, or another {tower}"
        raise UsageError(msg)
    wrong = [layer for layer in layers if layer >= count]
    if wrong:
        msg = f"adapter.layers names layer {wrong[0]}, but the {tower}'s layers are 0 to {count - 1}"
        raise UsageError(msg)
    return sorted(set(layers)) or list(range(count))


@attrs.frozen(kw_only=True)
class SoftmaxRouterConfig:
    """Gates that add up to 1.

    :param temperature: logits are divided by it; higher values keep more experts in use.
    :param jitter: in training, every number that the router sees is multiplied by one drawn from
        [1 - jitter, 1 + jitter], so that it does not settle on a few experts early.
    """

    temperature: float = attrs.field(default=1.0, validator=[gt(0.0), le(1_000.0)])
    jitter: float = attrs.field(default=0.0, validator=[ge(0.0), lt(1.0)])


@attrs.frozen(kw_only=True)
class TopKRouterConfig(SoftmaxRouterConfig):
    """The best experts of each frame share its weight, the others have none.

    :param k: experts a frame; one alone would always have the gate 1, and nothing to learn.
    """

    k: int = attrs.field(default=2, validator=ge(2))


@attrs.frozen(kw_only=True)
class ExpertsConfig:
    """Experts, and how they are mixed for a frame.

    :param experts: steering vectors at each place; 1 is static steering: the same vector for every frame,
        and no router.
    :param start: standard deviation of the initial vectors; 0 starts exactly at the unsteered encoder.
    :param balance: weight of the load-balance loss KL(mean gate ‖ uniform) over valid frames.
    :param router: how gates come from a frame.
    """

    experts: int = attrs.field(default=8, validator=[gt(0), le(10_000)])
    start: float = attrs.field(default=0.01, validator=[ge(0.0), le(1_000.0)])
    balance: float = attrs.field(default=0.0, validator=[ge(0.0), le(1_000.0)])
    router: Selection = choose("router", default="softmax")

    def __attrs_post_init__(self) -> None:
        """Refuse a router that wants more experts than there are."""
        chosen = getattr(self.router, "config", None)
        if isinstance(chosen, TopKRouterConfig) and chosen.k > self.experts:
            msg = f"router.k is {chosen.k}, but experts is {self.experts}; lower k or take more experts"
            raise ValueError(msg)


@attrs.frozen(kw_only=True)
class SteeringConfig(ExpertsConfig):
    """Layer-wise steering of the encoder or the decoder.

    :param on: the frozen part whose layers are steered.
    :param layers: numbers of the steered layers, from 0; empty steers all.
    :param scale: initial factor of every layer's shift.
    :param bounded: keep every layer's factor between 0 and twice its initial value.
    """

    on: Literal["encoder", "decoder"] = "encoder"
    layers: list[int] = attrs.field(factory=list, validator=deep_iterable(ge(0)))
    scale: float = attrs.field(default=0.1, validator=[gt(0.0), le(1_000.0)])
    bounded: bool = False


@attrs.frozen(kw_only=True)
class SoftPromptConfig:
    """Trained embeddings before every sequence of the decoder.

    :param on: the decoder: there is no other place for them.
    :param tokens: number of embeddings; each takes one position of the decoder's context.
    :param text: whose embeddings they start as, repeated or cut to their number; empty starts from tokens
        drawn at random.
    """

    on: Literal["decoder"] = "decoder"
    tokens: int = attrs.field(default=16, validator=[gt(0), le(100_000)])
    text: str = ""


@attrs.frozen(kw_only=True)
class PoolConfig:
    """`pool = {…}`: fewer audio tokens than frames.

    :param kind: mean or maximum of a window, its frames side by side, or no pooling.
    :param kernel: frames a window.
    """

    kind: Literal["avg", "max", "stack", "none"] = "avg"
    kernel: int = attrs.field(default=4, validator=[gt(0), le(10_000)])


@attrs.frozen(kw_only=True)
class LinearConfig:
    """One linear map from pooled frames to the language model's width.

    :param pool: time pooling before the map.
    :param start: `random` weights, or `ridge`: least squares onto the embeddings of the transcripts'
        tokens under a uniform alignment, solved before the first step.
    :param trained: false keeps the map as it starts, so that the adapter alone is trained.
    """

    pool: PoolConfig = attrs.field(factory=PoolConfig)
    start: Literal["random", "ridge"] = "random"
    trained: bool = True


@attrs.frozen(kw_only=True)
class IdentityConfig:
    """Frames are audio tokens as they are; the encoder's width has to be the language model's.

    :param pool: time pooling; stacking multiplies the width by its kernel.
    """

    pool: PoolConfig = attrs.field(factory=lambda: PoolConfig(kind="none"))


@attrs.frozen(kw_only=True)
class MlpConfig:
    """Two linear maps with a GELU between them.

    :param pool: time pooling before the maps.
    :param hidden: width between the maps; 0 takes the language model's.
    """

    pool: PoolConfig = attrs.field(factory=PoolConfig)
    hidden: int = attrs.field(default=0, validator=[ge(0), le(1_000_000)])


@attrs.frozen(kw_only=True)
class SoftCtcConfig:
    """Audio tokens inside the convex hull of the language model's own embeddings.

    Each frame gives a distribution over text tokens and a blank (scaled cosine to the frozen embedding
    table); blanks are dropped and each run of equal best tokens becomes one audio token: the
    posterior-weighted mean of the embeddings.

    :param pool: time pooling before the choice.
    :param start: `ctc` trains on the CTC loss alone for the first `start_steps` steps, without the
        language model; `random` uses both losses from the first step.
    :param start_steps: steps of that first phase.
    :param weight: weight of the CTC loss beside the language model's loss after it.
    :param vocabulary: the tokens to choose from: those of the training answers, or all. A run that starts
        from a trained adapter adds them to the adapter's own.
    :param negatives: in the CTC loss, tokens that the batch's answers don't hold compete only as a random
        sample of this size; 0 takes them all. Reading always takes all.
    :param scale: initial factor of the cosines.
    :param blank_bias: initial advantage of the blank.
    :param sharpness: posteriors are raised to this power before they mix embeddings.
    """

    pool: PoolConfig = attrs.field(factory=lambda: PoolConfig(kind="none"))
    start: Literal["ctc", "random"] = "ctc"
    start_steps: int = attrs.field(default=0, validator=[ge(0), le(1_000_000_000)])
    weight: float = attrs.field(default=0.3, validator=[ge(0.0), le(1_000.0)])
    vocabulary: Literal["train", "all"] = "train"
    negatives: int = attrs.field(default=0, validator=ge(0))
    scale: float = attrs.field(default=20.0, validator=[gt(0.0), le(1_000.0)])
    blank_bias: float = attrs.field(default=0.0, validator=[ge(-1_000.0), le(1_000.0)])
    sharpness: float = attrs.field(default=1.0, validator=[gt(0.0), le(1_000_000.0)])


@attrs.frozen(kw_only=True)
class CausalLMConfig:
    """A frozen causal language model.

    :param weights: a hub id, a local folder, a .gguf file, or a set of weights that a plugin provides.
    :param dtype: of its weights; `auto` takes the checkpoint's.
    :param attention: implementation of attention.
    :param quantise: stores the weights of its layers' linear maps in 8 or 4 bits; embeddings, norms and head
        keep `dtype`. See [less memory](../how-to/less-memory.md).
    """

    weights: str
    dtype: Literal["float32", "bfloat16", "float16", "auto"] = "float32"
    attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    quantise: Literal["none", "int8", "nf4"] = "none"

    @property
    def requires(self) -> tuple[str, ...]:
        """Packages that these settings need."""
        reader = ["gguf>=0.10"] if self.weights.endswith(".gguf") else []
        attention = ["flash-attn"] if self.attention == "flash_attention_2" else []
        return (*reader, *attention, *(["bitsandbytes>=0.49"] if self.quantise == "nf4" else []))

    @property
    def unpackable(self) -> str:
        """Why clips cannot be packed under these settings; empty if they can."""
        return "" if self.attention == "sdpa" else 'it needs attention = "sdpa"'
