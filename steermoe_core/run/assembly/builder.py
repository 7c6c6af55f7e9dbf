"""From a resolved experiment to live parts: model, data, collator, metrics, callbacks."""

from __future__ import annotations

import hashlib
import json
import sys
from contextlib import redirect_stdout, suppress
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import torch

from steermoe_core.component import tower_of
from steermoe_core.config.fields import fields_of
from steermoe_core.config.types import ComponentOf
from steermoe_core.data.audio.features import log_mels
from steermoe_core.data.augmentation import Augmented, changes_features, changes_waveforms, stretch
from steermoe_core.data.examples import CHUNK, Examples
from steermoe_core.data.padded import Padded, Waveforms
from steermoe_core.data.token_limit import Room
from steermoe_core.data.usable import Report, decoded, readable, refuse_tests, usable
from steermoe_core.errors import DataError, SetupError, UsageError
from steermoe_core.evaluate.scores import DataRecord
from steermoe_core.model.adapter import combined
from steermoe_core.model.encoder import Encoder
from steermoe_core.model.joined import Joined
from steermoe_core.model.weights import weights_too
from steermoe_core.run.assembly.costs import audio_tokens, costs
from steermoe_core.run.assembly.from_adapter import started
from steermoe_core.run.folder.run_folder import write_json
from steermoe_core.system.cache import cache_folder
from steermoe_core.system.hub import expanded, report_folder
from steermoe_core.system.records import structured
from steermoe_core.train.epochs import epochs_over

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from steermoe_core.component import Selection
    from steermoe_core.config.experiment import Experiment, ModelConfig, TrainConfig
    from steermoe_core.data.augmentation import Augmentation
    from steermoe_core.data.batches import Epochs
    from steermoe_core.data.collator import Collator
    from steermoe_core.data.example import Example
    from steermoe_core.data.layout import Batch
    from steermoe_core.evaluate.metrics import Metric
    from steermoe_core.model.adapter import Adapter
    from steermoe_core.model.decoder import Decoder
    from steermoe_core.model.encoder import Tower
    from steermoe_core.plugins import Registry


class ModelBuilder:
    """Builds a model and its collator, with the components of this installation."""

    def __init__(self, experiment: ModelConfig, registry: Registry) -> None:
        self.experiment = experiment
        self.registry = registry

    def part(self, selection: Selection, *context: Any) -> Any:
        """Build one component; one whose settings choose parts is given this function to build them.

        An adapter always is, by `model`.
        """
        factory, config = self.registry.factory(selection.kind, selection.name), self.located(selection)
        if selection.kind != "adapter" and _chooses_parts(type(config)):
            context = (*context, self.part)
        with redirect_stdout(sys.stderr):  # what a part prints; stdout belongs to the command
            return factory(config, *context)

    def located(self, selection: Selection) -> Any:
        """Return a component's settings; weights of a plugin or below `~` are replaced by their folder.

        A `tokenizer` may be such weights, too.
        """
        config = selection.config
        for key in ("weights", "tokenizer"):
            name = getattr(config, key, None)
            if isinstance(name, str) and name:
                config = attrs.evolve(config, **{key: self._folder(name)})
        return config

    def _folder(self, name: str) -> str:
        """Return the folder of weights that are here or that a plugin provides; any other name unchanged."""
        path = expanded(name)
        report_folder(path)
        if Path(path).exists():
            return path
        with weights_too():  # a plan needs the folder, too
            return str(self.registry.weights_folder(name) or path)

    def model(self, decoder: Decoder | None = None) -> Joined:
        """Build the whole model in eval mode; initial weights of what is trained depend on the seed alone.

        The projector comes first, so that it starts alike whatever adapter it is compared with.

        :param decoder: the experiment's, if it is built already.
        :raises UsageError: answers are to be chosen among texts that the projector cannot propose.
        """
        encoder = self.part(self.experiment.encoder)
        decoder = self.part(self.experiment.decoder) if decoder is None else decoder
        torch.manual_seed(self.experiment.experiment.seed)
        projector = self.part(self.experiment.projector, encoder.width, decoder)
        if (nbest := self.experiment.evaluate.nbest) and not projector.ctc:
            msg = (
                f"evaluate.nbest is {nbest}, but the projector {self.experiment.projector.name} has no CTC "
                "head to propose texts; set it to 0"
            )
            raise UsageError(msg)
        towers: dict[str, Tower] = {"encoder": encoder, "decoder": decoder}
        adapters: dict[str, list[Adapter]] = {"encoder": [], "decoder": []}
        for selection in self.experiment.adapter:
            tower = tower_of(selection.config)
            adapters[tower].append(self.part(selection, towers[tower], self.part))
        on_decoder = combined(adapters["decoder"]) if adapters["decoder"] else None
        return Joined(encoder, combined(adapters["encoder"]), projector, decoder, on_decoder).eval()

    def collator(self, model: Joined, features: Callable[..., Padded] | None = None) -> Any:
        """Build the collator on the decoder's tokenizer and the encoder's features.

        :param features: in place of the encoder's.
        """
        return self.part(
            self.experiment.collator,
            model.decoder.tokenizer,
            features or model.encoder.features,
            model.encoder.sample_rate,
            self.experiment.experiment.seed,
            Room(model.context, partial(audio_tokens, model.encoder, model.projector)),
        )


class Builder(ModelBuilder):
    """Builds all parts that an experiment selects.

    :ivar experiment: the experiment; one that starts from a trained adapter has that one's tables.
    :ivar start: the folder of the adapter that it starts from.
    :raises SteermoeError: there is no such adapter.
    """

    experiment: Experiment

    def __init__(self, experiment: Experiment, registry: Registry) -> None:
        whole, self.start = started(experiment, registry)
        super().__init__(whole, registry)

    def train_examples(self, longest: float | None) -> tuple[Examples, Report]:
        """Return what is trained on, after the filters, and what was left out.

        A clip that augmentation may make longer than the encoder takes is left out.

        :param longest: longest clip that the encoder takes, in seconds.
        :raises DataError: an example belongs to a test part, too many are unreadable, or none is left.
        """
        data = self.experiment.data
        numbered = Examples.joined(
            [self.examples(source).of_source(number) for number, source in enumerate(data.train)]
        )
        refuse_tests(numbered, "train")
        seconds = min(data.max_seconds, longest / self.stretch if longest else data.max_seconds)
        # An error where audio and features are mixed.
        if mels := log_mels(numbered.audio_kinds()):
            self._refuse_waveforms(mels[0])
            if self.experiment.train.features == "device":
                msg = f'train.features is "device", but {mels[0]} holds log-mel features; set it to "loader"'
                raise UsageError(msg)
        return usable(numbered, min_seconds=data.min_seconds, max_seconds=seconds, max_bad=data.max_bad)

    def fitting(self, collator: Collator, examples: Sequence[Example]) -> tuple[Examples, Report]:
        """Return the training examples that fit at the greatest length that augmentation may give them."""
        found = Examples.of(examples)
        if self.stretch == 1.0:
            kept, report = collator.fitting(found)
            return Examples.of(kept), report
        stretched, report = collator.fitting(found.lasting(found.seconds * self.stretch))
        own = dict(zip(found.names(), found.durations(), strict=True))
        kept = Examples.of(stretched)
        kept = kept.lasting(np.array([own[name] for name in kept.names()]))
        return kept, attrs.evolve(report, seconds=sum(kept.durations()))

    @cached_property
    def augmentations(self) -> dict[str, Augmentation]:
        """The augmentations of the training clips by their place in the experiment, in their order.

        :raises SteermoeError: one of them cannot be used, such as without its files.
        """
        found = {}
        for number, selection in enumerate(self.experiment.augment):
            label = f"augment.{number} ({selection.name})"
            try:
                found[label] = self.part(selection)
            except (DataError, SetupError, UsageError) as error:
                msg = f"{label}: {error}"
                raise type(error)(msg) from error
        return found

    @property
    def stretch(self) -> float:
        """Largest factor by which augmentation lengthens a training clip."""
        return stretch(self.augmentations.values())

    def training_collate(self, collator: Collator, model: Joined) -> Callable[[Sequence[Example]], Batch]:
        """Return what makes the batches of the training: the collator, with augmented clips.

        :raises UsageError: features are to be computed on the device, which the encoder or an augmentation
            cannot do.
        """
        encoder = model.encoder
        if self.experiment.train.features == "device":
            self._check_on_device(encoder)
            collator = self.collator(model, Waveforms.of)
        if not self.augmentations:
            return collator
        return Augmented(collator, self.augmentations, encoder.sample_rate, self.experiment.experiment.seed)

    def _check_on_device(self, encoder: Encoder) -> None:
        named = f'encoder "{self.experiment.encoder.name}"'
        wrong = [f"{label} changes features on the host" for label, one in self.augmentations.items()
                 if changes_features(one)]  # fmt: skip
        if type(encoder).features_of is Encoder.features_of:
            wrong.append(f"{named} computes features on the host only")
        if wrong:
            msg = f'{wrong[0]}, but train.features is "device"; set it to "loader"'
            raise UsageError(msg)

    def _refuse_waveforms(self, clip: object) -> None:
        """Refuse augmentations of waveforms where the training data has none."""
        for label, augmentation in self.augmentations.items():
            if changes_waveforms(augmentation):
                msg = (
                    f"{label} changes waveforms, but {clip} holds log-mel features; remove it, or take data "
                    "with sound"
                )
                raise DataError(msg)

    def costs(self, model: Joined, collator: Collator, examples: Sequence[Example]) -> list[float]:
        """Return what each training example costs, if batches have a budget."""
        return costs(self.experiment.train, model, collator, examples, self.stretch)

    def epochs(self, examples: Sequence[Example], costs: Sequence[float], processes: int = 1) -> Epochs:
        """Return the batches of each epoch.

        :param examples: usable training examples, with their `costs`.
        :raises DataError: `data.weights` gives a share to a source without examples.
        """
        experiment = self.experiment
        seed, weights = experiment.experiment.seed, experiment.data.weights
        return epochs_over(examples, experiment.train, seed, processes, costs=costs, weights=weights)

    def set_train(self, train: TrainConfig) -> None:
        """Replace `[train]` by what the run has found: the budget that `auto` is, the steps of epochs."""
        self.experiment = attrs.evolve(self.experiment, train=train)

    def validate_examples(self) -> Sequence[Example]:
        """Return what is scored during training, nothing filtered; empty without such a source.

        :raises DataError: an example belongs to a test part, or none can be read.
        """
        source = self.experiment.data.validate
        if source is None:
            return []
        examples = self.examples(source)
        refuse_tests(examples, "validate")
        return readable(examples, "data.validate")

    def eval_examples(self) -> dict[str, Examples]:
        """Return what is scored: whole splits, nothing filtered."""
        return {name: self.examples(source) for name, source in self.experiment.data.eval.items()}

    def metrics(self) -> list[Metric]:
        """Return the metrics of the experiment.

        :raises SetupError: a package that one of them needs is not installed.
        """
        return [self.part(selection) for selection in self.experiment.metrics]

    def examples(self, source: Selection) -> Examples:
        """Return all examples of a source, decoded once where the experiment says so."""
        found = Examples.of(self.part(source))
        return decoded(found) if self.experiment.data.check == "decode" else found


def _chooses_parts(cls: type) -> bool:
    return attrs.has(cls) and any(isinstance(one.type, ComponentOf) for one in fields_of(cls).values())


def data_record(examples: Sequence[Example]) -> DataRecord:
    """Return the size of a set of examples and a hash of what it consists of.

    That of examples in an index is kept, as long as they are the same.
    """
    found = Examples.of(examples)
    known = found.identity
    file = cache_folder() / "records" / f"{known}.json"
    if known is not None:
        with suppress(OSError, ValueError):
            return structured(json.loads(file.read_text(encoding="utf-8")), DataRecord)
    hours = sum(found.durations()) / 3600
    record = DataRecord(examples=len(found), hours=round(hours, 4), sha256=_digest(found))
    if known is not None:
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, record)
    return record


def _digest(examples: Examples) -> str:
    columns = map(examples.values, ("id", "text", "size", "prompt", "references"))
    lines = map(_line, *columns, examples.durations())
    digest = hashlib.sha256()
    while some := "".join(islice(lines, CHUNK)):
        digest.update(some.encode())
    return digest.hexdigest()


def _line(
    name: str, text: str, size: int, prompt: str | None, references: Sequence[str], seconds: float
) -> str:
    asked = references if prompt is None else (prompt, *references)
    return "\0".join((name, text, f"{seconds:.3f}", str(size), *asked)) + "\n"


def metrics_of(experiment: Experiment, registry: Registry) -> list[Metric]:
    """Build the metrics of an experiment."""
    return [registry.get("metric", m.name).build(m.config) for m in experiment.metrics]
