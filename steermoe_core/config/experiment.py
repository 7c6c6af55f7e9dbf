"""The tables of an experiment file, as attrs classes: what each key means, its default and its limits."""

from __future__ import annotations

from typing import Literal

import attrs
from attrs.validators import deep_iterable, ge, gt, le, matches_re

from steermoe_core.component import Selection, choose

#: No optimizer here gets anywhere with a higher learning rate.
HIGHEST_RATE = 10.0
#: Longest clip in seconds that a setting may speak of.
A_DAY = 86_400.0


@attrs.frozen(kw_only=True)
class ExperimentInfo:
    """`[experiment]`: what the run is called and what its random numbers start from.

    :param name: first part of the run folder's name; letters, digits, dots, dashes and underscores.
    :param seed: start of every random number: initial weights, data order, prompts.
    :param description: a sentence for people; kept with the run, in its experiment.toml.
    """

    name: str = attrs.field(validator=matches_re(r"[A-Za-z0-9][\w.-]*"))
    seed: int = attrs.field(default=17, validator=ge(0))
    description: str = ""


@attrs.frozen(kw_only=True)
class DataConfig:
    """`[data]`: what is trained on and what is scored.

    :param train: one source (`[data.train]`) or several (`[[data.train]]`), taken together.
    :param validate: a source to score while training goes on (`[data.validate]`), as often as
        `train.validate` says; never a test split, since steps are chosen by it.
    :param weights: share of the clips of an epoch that each training source has, in any unit, in their order;
        a source is gone through to its end before a clip of it comes again; empty: every clip once an epoch.
    :param eval: sources to score after training, by name (`[data.eval.NAME]`).
    :param min_seconds: shorter clips are left out of training.
    :param max_seconds: longer clips are left out of training; counted and reported.
    :param max_bad: share of unreadable clips above which the run stops; below it they are left out
        with their names.
    :param check: what tells that a clip can be read: its `header` and last sample, or a `decode` of it all
        before anything else, which also sets durations right that a table gives wrong.
    """

    train: list[Selection] = choose("dataset")
    validate: Selection | None = choose("dataset", default="")
    weights: list[float] = attrs.field(factory=list, validator=deep_iterable(gt(0.0)))
    eval: dict[str, Selection] = choose("dataset")
    min_seconds: float = attrs.field(default=0.1, validator=[gt(0.0), le(A_DAY)])
    max_seconds: float = attrs.field(default=30.0, validator=[gt(0.0), le(A_DAY)])
    max_bad: float = attrs.field(default=0.01, validator=[ge(0.0), le(1.0)])
    check: Literal["header", "decode"] = "header"


@attrs.frozen(kw_only=True)
class LearningRates:
    """`[train] learning_rate = {…}`: peak rate of each parameter group.

    :param projector: the projection into the language model, with everything else that a projector trains.
    :param steering: steering vectors.
    :param router: routers.
    :param scales: the scale of each steered layer.
    :param lora: low-rank adapters.
    """

    projector: float = attrs.field(default=1e-3, validator=[ge(0.0), le(HIGHEST_RATE)])
    steering: float = attrs.field(default=1e-3, validator=[ge(0.0), le(HIGHEST_RATE)])
    router: float = attrs.field(default=2e-4, validator=[ge(0.0), le(HIGHEST_RATE)])
    scales: float = attrs.field(default=1e-3, validator=[ge(0.0), le(HIGHEST_RATE)])
    lora: float = attrs.field(default=1e-4, validator=[ge(0.0), le(HIGHEST_RATE)])


@attrs.frozen(kw_only=True)
class ValidateConfig:
    """`[train.validate]`: scores of `[data.validate]` while training goes on, generated as in the evaluation.

    :param every: steps between validations, 0 for none; the last step always has one.
    :param metric: the score that says which step is best, such as `wer`; empty: the first of `[[metrics]]`.
    :param patience: validations in a row without a better score after which training stops; 0 never stops it.
    :param keep_best: the adapter is that of the best validated step, not of the last step; a checkpoint of it
        is kept beside the newest.
    """

    every: int = attrs.field(default=0, validator=ge(0))
    metric: str = ""
    patience: int = attrs.field(default=0, validator=ge(0))
    keep_best: bool = False


@attrs.frozen(kw_only=True)
class DeepSpeedConfig:
    """`[train.deepspeed]`: what the processes of a run split among them, by DeepSpeed's ZeRO.

    :param stage: 0 splits nothing, 1 the optimizer's state, 2 that and gradients, 3 that and frozen weights;
        what is trained comes out the same.
    :param offload: `cpu` keeps the optimizer's state, and at stage 3 weights, in the machine's own memory.
    """

    stage: Literal[0, 1, 2, 3] = 2
    offload: Literal["none", "cpu"] = "none"


@attrs.frozen(kw_only=True)
class TrainConfig:
    """`[train]`: how the trainable parts are fitted.

    :param steps: optimizer steps; 0 only scores the trained adapter that the experiment starts from.
    :param batch_size: clips a forward pass.
    :param accumulation: forward passes an optimizer step; their loss is weighted by answer tokens, so
        accumulation k equals a batch k times as large.
    :param bucket: clips are sorted by length within this many batches, so that a batch holds clips of
        like length; 1 draws batches at random.
    :param learning_rate: peak rate of each parameter group.
    :param schedule: what the rate does after the warm-up.
    :param warmup: steps from rate zero to the peak.
    :param weight_decay: AdamW's decay; never applied to scales and biases.
    :param clip: largest norm of each parameter group's gradient.
    :param precision: of the forward pass; trained parameters stay fp32.
    :param recompute: frozen parts whose layers compute their activations again in the backward pass instead
        of keeping them: less memory for more time, and the same numbers.
    :param keep_frames: keep on disk what the frozen encoder gives for each clip, and take it from there the
        next time, in any run; only where the adapter leaves the encoder as it is. See [kept
        frames](../how-to/cache-encoder-frames.md).
    :param device: `auto` takes a GPU where there is one; CUDA_VISIBLE_DEVICES says which.
    :param threads: CPU threads; 0 takes all cores.
    :param workers: processes that load audio; 0 loads in the training process.
    :param log_every: steps between lines of metrics.jsonl.
    :param save_every: steps between checkpoints, 0 for none between; the last step always has one.
    :param keep: checkpoints kept.
    :param validate: scores while training goes on, and what is made of them.
    :param deepspeed: train with DeepSpeed; see [several GPUs](../how-to/several-gpus.md).
    """

    steps: int = attrs.field(validator=[ge(0), le(1_000_000_000)])
    batch_size: int = attrs.field(default=8, validator=[gt(0), le(100_000)])
    accumulation: int = attrs.field(default=1, validator=[gt(0), le(100_000)])
    bucket: int = attrs.field(default=16, validator=[gt(0), le(100_000)])
    learning_rate: LearningRates = attrs.field(factory=LearningRates)
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    warmup: int = attrs.field(default=0, validator=ge(0))
    weight_decay: float = attrs.field(default=0.01, validator=[ge(0.0), le(10.0)])
    clip: float = attrs.field(default=1.0, validator=gt(0.0))
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    recompute: list[Literal["encoder", "decoder"]] = attrs.field(factory=list)
    keep_frames: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = attrs.field(default=0, validator=[ge(0), le(10_000)])
    workers: int = attrs.field(default=0, validator=[ge(0), le(1_000)])
    log_every: int = attrs.field(default=10, validator=gt(0))
    save_every: int = attrs.field(default=0, validator=ge(0))
    keep: int = attrs.field(default=2, validator=gt(0))
    validate: ValidateConfig = attrs.field(factory=ValidateConfig)
    deepspeed: DeepSpeedConfig | None = None


@attrs.frozen(kw_only=True)
class EvaluateConfig:
    """`[evaluate]`: greedy generation, and what is answered beside it to know what the scores mean.

    :param batch_size: clips generated together; the texts do not depend on it.
    :param max_new_tokens: longest answer in tokens.
    :param tokens_per_second: an answer may not be longer than this times the clip's seconds (plus 8).
    :param segment: longest piece, in seconds, that `steermoe transcribe` cuts a recording into that is longer
        than the encoder takes: as long as the clips of the training, for a model that knows no longer ones;
        0: what the encoder takes.
    :param controls: what is scored beside the real thing; `no-audio` gives the decoder no audio tokens,
        `shuffled-audio` those of another clip of like length.
    :param probes: a few seconds of silence, noise and a tone are answered, too; nothing was said in them.
    """

    batch_size: int = attrs.field(default=8, validator=[gt(0), le(100_000)])
    max_new_tokens: int = attrs.field(default=200, validator=[gt(0), le(1_000_000)])
    tokens_per_second: float = attrs.field(default=12.0, validator=[gt(0.0), le(1_000.0)])
    segment: float = attrs.field(default=0.0, validator=[ge(0.0), le(A_DAY)])
    controls: list[Literal["no-audio", "shuffled-audio"]] = attrs.field(factory=lambda: ["no-audio"])
    probes: bool = True


@attrs.frozen(kw_only=True)
class ModelConfig:
    """The part of an experiment that makes the model and uses it: all that an adapter folder holds of it.

    :param experiment: name and seed.
    :param encoder: the frozen audio encoder.
    :param adapter: what is trained inside or right after the encoder. A text in place of the table starts
        from a trained one: the path of a run or adapter folder, with a slash in it, or `hub:OWNER/NAME`, with
        `@REVISION` if not the newest; [projector] is then left out, or has the same `use`.
    :param projector: what is trained between encoder and decoder.
    :param decoder: the frozen language model.
    :param collator: the layout of prompt, audio and answer.
    :param evaluate: how answers are generated.
    """

    experiment: ExperimentInfo
    encoder: Selection = choose("encoder")
    adapter: Selection = choose("adapter", default="none")
    projector: Selection = choose("projector", default="linear")
    decoder: Selection = choose("decoder")
    collator: Selection = choose("collator", default="asr")
    evaluate: EvaluateConfig = attrs.field(factory=EvaluateConfig)


@attrs.frozen(kw_only=True)
class Experiment(ModelConfig):
    """A whole experiment file, resolved: every table and key that it may have.

    :param data: what is trained on and scored.
    :param train: how the trainable parts are fitted.
    :param metrics: scores (`[[metrics]]`).
    :param callbacks: watchers of the training run (`[[callbacks]]`).
    """

    data: DataConfig
    train: TrainConfig
    metrics: list[Selection] = choose("metric", default="wer")
    callbacks: list[Selection] = choose("callback", default="")
