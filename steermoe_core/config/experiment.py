"""The tables of an experiment file, as attrs classes: what each key means, its default and its limits."""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs
from attrs.validators import and_, deep_iterable, ge, gt, le, matches_re, optional

from steermoe_core.component import Selection, Trained, choose
from steermoe_core.config.limits import NumberOrTable, NumberOrWord

#: No experiment here trains with a higher learning rate.
HIGHEST_RATE = 10.0
#: Defaults of `weight_decay` and `clip`, of groups that their tables leave out too.
WEIGHT_DECAY, CLIP = 0.01, 1.0
#: Room for clips that are generated together, in cached tokens, where an experiment sets none.
BATCH_TOKENS = 8192
#: Clips of a forward pass, where an experiment sets neither their number nor a budget.
BATCH_SIZE = 8
#: Marks a key whose table takes the parameter groups of the chosen components.
BY_GROUP = {"by_group": True}
#: Longest clip in seconds that a setting may name.
A_DAY = 86_400.0


@attrs.frozen(kw_only=True)
class ExperimentInfo:
    """`[experiment]`: name and seed of the run.

    :param name: first part of the run folder's name; letters, digits, dots, dashes and underscores.
    :param seed: seed of all random numbers: initial weights, data order, prompts.
    :param description: a sentence for readers; stored in the run's experiment.toml.
    """

    name: str = attrs.field(validator=matches_re(r"[A-Za-z0-9][\w.-]*"))
    seed: int = attrs.field(default=17, validator=ge(0))
    description: str = ""


@attrs.frozen(kw_only=True)
class DataConfig:
    """`[data]`: training and evaluation data.

    :param train: one source (`[data.train]`) or several (`[[data.train]]`), combined.
    :param validate: a source to score during training (`[data.validate]`), as often as `train.validate` says;
        never a test split, because its scores select a step.
    :param weights: share of each training source in the clips of an epoch, in any unit and in the order of
        the sources; all clips of a source are used before one is repeated; empty: every clip once per epoch.
    :param eval: sources to score after training, each under a name (`[data.eval.NAME]`).
    :param min_seconds: shorter clips are left out of training.
    :param max_seconds: longer clips are left out of training; counted and reported.
    :param max_bad: share of unreadable clips above which the run stops; up to it they are left out and
        listed.
    :param check: how clips are checked before the run: `header` reads the header and the last sample,
        `decode` decodes every clip and also corrects wrong durations in a table.
    """

    train: list[Selection] = choose("dataset")
    validate: Selection | None = choose("dataset", default="")
    weights: list[float] = attrs.field(factory=list, validator=deep_iterable(and_(gt(0.0), le(1e9))))
    eval: dict[str, Selection] = choose("dataset")
    min_seconds: float = attrs.field(default=0.1, validator=[gt(0.0), le(A_DAY)])
    max_seconds: float = attrs.field(default=30.0, validator=[gt(0.0), le(A_DAY)])
    max_bad: float = attrs.field(default=0.01, validator=[ge(0.0), le(1.0)])
    check: Literal["header", "decode"] = "header"


@attrs.frozen(kw_only=True)
class ValidateConfig:
    """`[train.validate]`: scores of `[data.validate]` during training, generated as in the evaluation.

    :param every: steps between validations, 0 for none; the last step always has one.
    :param metric: the score that selects the best step, such as `wer`; empty: the first of `[[metrics]]`.
    :param patience: validations in a row without a better score after which training stops; 0 never stops it.
    :param keep_best: the adapter is that of the best validated step, not of the last step; its checkpoint is
        kept in addition to the newest.
    """

    every: int = attrs.field(default=0, validator=ge(0))
    metric: str = ""
    patience: int = attrs.field(default=0, validator=ge(0))
    keep_best: bool = False


@attrs.frozen(kw_only=True)
class DeepSpeedConfig:
    """`[train.deepspeed]`: what the processes of a run shard among themselves with DeepSpeed's ZeRO.

    :param stage: 0 shards nothing, 1 the optimizer state, 2 also the gradients, 3 also the frozen weights;
        the trained parameters are the same.
    :param offload: `cpu` keeps the optimizer state, and at stage 3 the weights, in host memory.
    """

    stage: Literal[0, 1, 2, 3] = 2
    offload: Literal["none", "cpu"] = "none"


@attrs.frozen(kw_only=True)
class TrainConfig:
    """`[train]`: how the trainable parts are fitted.

    :param steps: optimizer steps; 0 only scores the trained adapter that the experiment starts from.
    :param epochs: passes over the training clips, in place of `steps`; parts of a pass are allowed. The run
        counts the usable clips and rounds up to whole steps; `steermoe plan` prints their number.
    :param batch_seconds: seconds per forward pass, padding included, in place of `batch_size`: as many clips
        of like length as fit, and the same number in all forward passes of a step. A clip that an encoder
        pads to a fixed length counts with that length, and one that augmentation may lengthen with its
        greatest. `auto` finds the largest that fits into memory: see
        [batches by budget](../how-to/several-gpus.md#batches-by-budget).
    :param batch_tokens: the same in positions of the decoder: prompt, audio tokens and answer.
    :param batch_size: clips per forward pass; 8 unless `batch_seconds` or `batch_tokens` is set.
    :param accumulation: forward passes per optimizer step; their loss is weighted by answer tokens, so
        accumulation k equals a batch k times as large.
    :param bucket: number of batches whose clips are sorted by length together, so that a batch holds clips of
        similar length; 1 draws batches at random. With `batch_seconds` or `batch_tokens`, of steps.
    :param learning_rate: peak rate of each parameter group of the chosen adapters and projector; a group that
        is left out has the default of its component.
    :param schedule: shape of the learning rate after the warm-up.
    :param warmup: steps in which the learning rate rises from zero to its peak.
    :param weight_decay: AdamW's decay of matrices; never applied to vectors and biases. A table sets it by
        parameter group; a group that is left out has the default.
    :param clip: maximum norm of each parameter group's gradient. A table sets it by group, as for the decay.
    :param precision: of the forward pass; trained parameters stay fp32.
    :param recompute: frozen parts that compute their activations again in the backward pass instead of
        keeping them: less memory, more time, the same numbers.
    :param packing: frozen parts that compute the clips of a batch in one row, without padding; each clip
        attends to itself alone: the same numbers, for less work. See
        [packing](../explanation/training.md#packing).
    :param compile: compile the layers of the frozen parts with torch's compiler, so that what lies between
        their matrix products runs in few fused kernels: less time on a GPU, the same numbers within
        rounding, also after a resume. The first step takes minutes longer. See [compiled
        layers](../how-to/fit-a-run-to-a-gpu.md#compile-the-frozen-layers).
    :param keep_frames: store what the frozen encoder computes of each clip on disk and reuse it, in any run:
        up to the first layer that an adapter changes. See [kept frames](../how-to/cache-encoder-frames.md).
    :param frames_dtype: number format of kept frames. `float32`: each clip is encoded alone, and the numbers
        are the same whichever run stored them. `bfloat16`: half the space; clips are encoded together, in
        bf16.
    :param device: `auto` uses a GPU if there is one; CUDA_VISIBLE_DEVICES selects it.
    :param threads: CPU threads; 0 uses all cores.
    :param workers: processes that load audio; 0 loads it in the training process. `auto` is 0 on a CPU,
        which has to compute; with a GPU it is the process's share of the cores, less one, and 8 at most. The
        numbers that are trained do not depend on it, nor does a resume.
    :param features: where the encoder's features of the training clips are computed: in the processes that
        load audio (`loader`), or where the model computes (`device`), which saves CPU time and moves the
        waveforms, in the place of log-mels; the same within 1e-4.
    :param log_every: steps between lines of metrics.jsonl.
    :param save_every: steps between checkpoints, 0 for none in between; the last step always has one.
    :param keep: number of checkpoints to keep.
    :param validate: scores during training, and their use.
    :param deepspeed: train with DeepSpeed; see [several GPUs](../how-to/several-gpus.md).
    """

    #: An experiment sets one of these keys and not the others.
    EXACTLY_ONE: ClassVar = ("steps", "epochs")
    #: An experiment sets at most one of these keys.
    AT_MOST_ONE: ClassVar = ("batch_size", "batch_seconds", "batch_tokens")

    steps: int | None = attrs.field(default=None, validator=optional([ge(0), le(1_000_000_000)]))
    epochs: float | None = attrs.field(default=None, validator=optional([gt(0.0), le(1_000_000.0)]))
    batch_seconds: float | Literal["auto"] | None = attrs.field(
        default=None, validator=optional(NumberOrWord(gt(0.0), le(1_000_000.0)))
    )
    batch_tokens: int | Literal["auto"] | None = attrs.field(
        default=None, validator=optional(NumberOrWord(gt(0), le(1_000_000_000)))
    )
    batch_size: int | None = attrs.field(
        default=attrs.Factory(lambda self: None if self.budget else BATCH_SIZE, takes_self=True),
        validator=optional([gt(0), le(100_000)]),
    )
    accumulation: int = attrs.field(default=1, validator=[gt(0), le(100_000)])
    bucket: int = attrs.field(default=16, validator=[gt(0), le(100_000)])
    learning_rate: dict[str, float] = attrs.field(
        factory=dict, validator=NumberOrTable(ge(0.0), le(HIGHEST_RATE)), metadata=BY_GROUP
    )
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    warmup: int = attrs.field(default=0, validator=ge(0))
    weight_decay: float | dict[str, float] = attrs.field(
        default=WEIGHT_DECAY, validator=NumberOrTable(ge(0.0), le(10.0)), metadata=BY_GROUP
    )
    clip: float | dict[str, float] = attrs.field(
        default=CLIP, validator=NumberOrTable(gt(0.0)), metadata=BY_GROUP
    )
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    recompute: list[Literal["encoder", "decoder"]] = attrs.field(factory=list)
    packing: list[Literal["encoder", "decoder"]] = attrs.field(factory=list)
    compile: bool = False
    keep_frames: bool = False
    frames_dtype: Literal["float32", "bfloat16"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = attrs.field(default=0, validator=[ge(0), le(10_000)])
    workers: int | Literal["auto"] = attrs.field(default=0, validator=NumberOrWord(ge(0), le(1_000)))
    features: Literal["loader", "device"] = "loader"
    log_every: int = attrs.field(default=10, validator=gt(0))
    save_every: int = attrs.field(default=0, validator=ge(0))
    keep: int = attrs.field(default=2, validator=gt(0))
    validate: ValidateConfig = attrs.field(factory=ValidateConfig)
    deepspeed: DeepSpeedConfig | None = None

    @property
    def budget(self) -> tuple[str, float | Literal["auto"]] | None:
        """The key and the value of the budget of a batch; None where its clips are counted."""
        budgets = {"batch_seconds": self.batch_seconds, "batch_tokens": self.batch_tokens}
        return next(((key, value) for key, value in budgets.items() if value is not None), None)

    @property
    def micro_batch(self) -> int:
        """The clips of a forward pass for transformers and DeepSpeed, which only log it; 1 for a budget."""
        return self.batch_size or 1

    def decay_of(self, group: str) -> float:
        """Return AdamW's decay of a parameter group."""
        decay = self.weight_decay
        return decay.get(group, WEIGHT_DECAY) if isinstance(decay, dict) else decay

    def clip_of(self, group: str) -> float:
        """Return the maximum norm of a parameter group's gradient."""
        return self.clip.get(group, CLIP) if isinstance(self.clip, dict) else self.clip


@attrs.frozen(kw_only=True)
class EvaluateConfig:
    """`[evaluate]`: how answers are found, and controls that put the scores into context.

    The decoder generates an answer greedily, or it chooses one: the projector's CTC head proposes the `nbest`
    most probable texts, and the answer is the one with the largest log p(text | CTC) + `nbest_weight` ·
    log p(text | decoder). The decoder reads the audio tokens in both cases.

    :param batch_tokens: size of the key-value cache in tokens, which limits how many clips are generated
        together: their number times prompt, audio and longest possible answer of the longest of them. 8192
        unless `batch_size` is set. The texts do not depend on it.
    :param batch_size: clips generated together, in place of `batch_tokens`.
    :param max_new_tokens: maximum length of an answer in tokens.
    :param tokens_per_second: maximum length of an answer per second of the clip, in tokens (plus 8).
    :param segment: longest segment, in seconds, when `steermoe transcribe` splits a recording that is longer
        than the encoder takes: the clip length of the training for a model that was trained on shorter clips
        only; 0: what the encoder takes.
    :param nbest: number of texts that the CTC head proposes; 0 generates. Needs a projector with a CTC head
        that was trained on the answers, such as `soft-ctc`.
    :param nbest_weight: weight of the decoder's log probability; 0 takes the CTC head's best text.
    :param controls: inputs to score in addition to the real ones; `no-audio` gives the decoder no audio
        tokens, `shuffled-audio` those of another clip of similar length.
    :param probes: also generate answers to a few seconds of silence, noise and a tone, which contain no
        speech.
    """

    #: An experiment sets at most one of these keys.
    AT_MOST_ONE: ClassVar = ("batch_size", "batch_tokens")

    batch_tokens: int | None = attrs.field(default=None, validator=optional([gt(0), le(1_000_000_000)]))
    batch_size: int | None = attrs.field(default=None, validator=optional([gt(0), le(100_000)]))
    max_new_tokens: int = attrs.field(default=200, validator=[gt(0), le(1_000_000)])
    tokens_per_second: float = attrs.field(default=12.0, validator=[gt(0.0), le(1_000.0)])
    segment: float = attrs.field(default=0.0, validator=[ge(0.0), le(A_DAY)])
    nbest: int = attrs.field(default=0, validator=[ge(0), le(1_000)])
    nbest_weight: float = attrs.field(default=0.3, validator=[ge(0.0), le(100.0)])
    controls: list[Literal["no-audio", "shuffled-audio"]] = attrs.field(factory=lambda: ["no-audio"])
    probes: bool = True

    @property
    def tokens(self) -> int | None:
        """Size of the key-value cache in tokens; None where the number of clips is set."""
        return (self.batch_tokens or BATCH_TOKENS) if self.batch_size is None else None

    def together(self, clips: int | None) -> EvaluateConfig:
        """Return the settings with a number of clips that are generated together; None leaves them."""
        return attrs.evolve(self, batch_size=clips, batch_tokens=None) if clips else self

    @property
    def clips(self) -> int:
        """Clips of a forward pass in which nothing is generated."""
        return self.batch_size or BATCH_SIZE


@attrs.frozen(kw_only=True)
class ModelConfig:
    """The part of an experiment that defines the model and its use; adapter folders store only this part.

    :param experiment: name and seed.
    :param encoder: the frozen audio encoder.
    :param adapter: what is trained inside or right after the encoder or the decoder: one (`[adapter]`) or
        several (`[[adapter]]`). Text instead of a table starts from a trained adapter: the path of a run or
        adapter folder, with a slash in it, or `hub:OWNER/NAME`, with `@REVISION` unless it is the newest;
        then leave [projector] out or give it the same `use`.
    :param projector: what is trained between encoder and decoder.
    :param decoder: the frozen language model.
    :param collator: the layout of prompt, audio and answer.
    :param evaluate: how answers are generated.
    """

    experiment: ExperimentInfo
    encoder: Selection = choose("encoder")
    adapter: list[Selection] = choose("adapter", default="none", one=True)
    projector: Selection = choose("projector", default="linear")
    decoder: Selection = choose("decoder")
    collator: Selection = choose("collator", default="asr")
    evaluate: EvaluateConfig = attrs.field(factory=EvaluateConfig)

    @property
    def started_from(self) -> str | None:
        """The source of the trained adapter that the experiment starts from, if any."""
        config = self.adapter[0].config if self.adapter else None
        return config.source if isinstance(config, Trained) else None


@attrs.frozen(kw_only=True)
class Experiment(ModelConfig):
    """A whole experiment file, resolved: every table and key that it may have.

    :param data: training and evaluation data.
    :param train: how the trainable parts are fitted.
    :param augment: random changes of the training clips, applied in this order (`[[augment]]`); never of the
        clips that are validated or evaluated on.
    :param metrics: scores (`[[metrics]]`).
    :param callbacks: parts that observe or change training (`[[callbacks]]`).
    """

    data: DataConfig
    train: TrainConfig
    augment: list[Selection] = choose("augmentation", default="")
    metrics: list[Selection] = choose("metric", default="wer")
    callbacks: list[Selection] = choose("callback", default="")
