"""The tables of an experiment file, as attrs classes: what each key means, its default and its limits."""

from __future__ import annotations

from typing import Literal

import attrs
from attrs.validators import ge, gt, le, matches_re

from steermoe_core.component import Selection, choose


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
    :param eval: sources to score after training, by name (`[data.eval.NAME]`).
    :param min_seconds: shorter clips are left out of training.
    :param max_seconds: longer clips are left out of training; counted and reported.
    :param max_bad: share of unreadable clips above which the run stops; below it they are left out
        with their names.
    """

    train: list[Selection] = choose("dataset")
    eval: dict[str, Selection] = choose("dataset")
    min_seconds: float = attrs.field(default=0.1, validator=gt(0.0))
    max_seconds: float = attrs.field(default=30.0, validator=gt(0.0))
    max_bad: float = attrs.field(default=0.01, validator=[ge(0.0), le(1.0)])


@attrs.frozen(kw_only=True)
class LearningRates:
    """`[train] learning_rate = {…}`: peak rate of each parameter group.

    :param projector: the projection into the language model, with everything else that a projector trains.
    :param steering: steering vectors.
    :param router: routers.
    :param scales: the scale of each steered layer.
    :param lora: low-rank adapters.
    """

    projector: float = attrs.field(default=1e-3, validator=ge(0.0))
    steering: float = attrs.field(default=1e-3, validator=ge(0.0))
    router: float = attrs.field(default=2e-4, validator=ge(0.0))
    scales: float = attrs.field(default=1e-3, validator=ge(0.0))
    lora: float = attrs.field(default=1e-4, validator=ge(0.0))


@attrs.frozen(kw_only=True)
class TrainConfig:
    """`[train]`: how the trainable parts are fitted.

    :param steps: optimizer steps.
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
    :param device: `auto` takes a GPU where there is one; CUDA_VISIBLE_DEVICES says which.
    :param threads: CPU threads; 0 takes all cores.
    :param workers: processes that load audio; 0 loads in the training process.
    :param log_every: steps between lines of metrics.jsonl.
    :param save_every: steps between checkpoints, 0 for none between; the last step always has one.
    :param keep: checkpoints kept.
    """

    steps: int = attrs.field(validator=gt(0))
    batch_size: int = attrs.field(default=8, validator=gt(0))
    accumulation: int = attrs.field(default=1, validator=gt(0))
    bucket: int = attrs.field(default=16, validator=gt(0))
    learning_rate: LearningRates = attrs.field(factory=LearningRates)
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    warmup: int = attrs.field(default=0, validator=ge(0))
    weight_decay: float = attrs.field(default=0.01, validator=ge(0.0))
    clip: float = attrs.field(default=1.0, validator=gt(0.0))
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = attrs.field(default=0, validator=ge(0))
    workers: int = attrs.field(default=0, validator=ge(0))
    log_every: int = attrs.field(default=10, validator=gt(0))
    save_every: int = attrs.field(default=0, validator=ge(0))
    keep: int = attrs.field(default=2, validator=gt(0))


@attrs.frozen(kw_only=True)
class EvaluateConfig:
    """`[evaluate]`: greedy generation and the controls beside it.

    :param batch_size: clips generated together; the texts do not depend on it.
    :param max_new_tokens: longest answer in tokens.
    :param tokens_per_second: an answer may not be longer than this times the clip's seconds (plus 8).
    :param controls: what is scored beside the real thing; `no-audio` gives the decoder no audio tokens.
    """

    batch_size: int = attrs.field(default=8, validator=gt(0))
    max_new_tokens: int = attrs.field(default=200, validator=gt(0))
    tokens_per_second: float = attrs.field(default=12.0, validator=gt(0.0))
    controls: list[Literal["no-audio"]] = attrs.field(factory=lambda: ["no-audio"])


@attrs.frozen(kw_only=True)
class Experiment:
    """A whole experiment file, resolved: every table and key that it may have.

    :param experiment: name and seed.
    :param encoder: the frozen audio encoder.
    :param adapter: what is trained inside or right after the encoder.
    :param projector: what is trained between encoder and decoder.
    :param decoder: the frozen language model.
    :param data: what is trained on and scored.
    :param collator: the layout of prompt, audio and answer.
    :param train: how the trainable parts are fitted.
    :param evaluate: how answers are generated.
    :param metrics: scores (`[[metrics]]`).
    :param callbacks: watchers of the training run (`[[callbacks]]`).
    """

    experiment: ExperimentInfo
    encoder: Selection = choose("encoder")
    adapter: Selection = choose("adapter", default="none")
    projector: Selection = choose("projector", default="linear")
    decoder: Selection = choose("decoder")
    data: DataConfig
    collator: Selection = choose("collator", default="asr")
    train: TrainConfig
    evaluate: EvaluateConfig = attrs.field(factory=EvaluateConfig)
    metrics: list[Selection] = choose("metric", default="wer")
    callbacks: list[Selection] = choose("callback", default="")
