"""From a resolved experiment to live parts: model, data, collator, metrics, callbacks."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import torch

from steermoe_core.data.check import Report, trainable, usable
from steermoe_core.model.joined import Joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.component import Selection
    from steermoe_core.config.experiment import Experiment
    from steermoe_core.data.example import Example
    from steermoe_core.plugins import Registry


class Builder:
    """Builds the parts that an experiment selects, with the components of this installation."""

    def __init__(self, experiment: Experiment, registry: Registry) -> None:
        self.experiment = experiment
        self.registry = registry

    def part(self, selection: Selection, *context: Any) -> Any:
        """Build one component; weights that a plugin provides are replaced by the folder they lie in."""
        config = selection.config
        name = getattr(config, "weights", None)
        provided = self.registry.find("weights", name) if isinstance(name, str) else None
        if provided and not Path(str(name)).exists():
            config = attrs.evolve(config, weights=str(provided.build(provided.config_class()())))
        return self.registry.get(selection.kind, selection.name).build(config, *context)

    def model(self) -> Joined:
        """Build the whole model; the initial weights of what is trained depend on the seed alone."""
        encoder = self.part(self.experiment.encoder)
        decoder = self.part(self.experiment.decoder)
        torch.manual_seed(self.experiment.experiment.seed)
        adapter = self.part(self.experiment.adapter, encoder, self.part)
        projector = self.part(self.experiment.projector, encoder.width, decoder)
        return Joined(encoder, adapter, projector, decoder)

    def collator(self, model: Joined) -> Any:
        """Build the collator on the decoder's tokenizer and the encoder's features."""
        return self.part(
            self.experiment.collator,
            model.decoder.tokenizer,
            model.encoder.features,
            model.encoder.sample_rate,
        )

    def train_examples(self, longest: float | None) -> tuple[list[Example], Report]:
        """Return what is trained on, after the filters, and what was left out.

        :param longest: longest clip that the encoder takes, in seconds.
        :raises DataError: an example belongs to a test part, too many are unreadable, or none is left.
        """
        data = self.experiment.data
        found = trainable([example for source in data.train for example in self.part(source)])
        seconds = min(data.max_seconds, longest or data.max_seconds)
        return usable(found, min_seconds=data.min_seconds, max_seconds=seconds, max_bad=data.max_bad)

    def eval_examples(self) -> dict[str, list[Example]]:
        """Return what is scored: whole splits, nothing filtered."""
        return {name: list(self.part(source)) for name, source in self.experiment.data.eval.items()}


def data_record(examples: Sequence[Example]) -> dict[str, Any]:
    """Return the size of a set of examples and a hash of what it consists of."""
    digest = hashlib.sha256()
    for example in examples:
        size = example.audio.stat().st_size if example.audio.exists() else -1
        digest.update(f"{example.id}\0{example.text}\0{example.seconds:.3f}\0{size}\n".encode())
    hours = sum(example.seconds for example in examples) / 3600
    return {"examples": len(examples), "hours": round(hours, 4), "sha256": digest.hexdigest()}
