"""An experiment with random weights and clips of noise: its speed on a machine, before anything is fetched.

The models have their shapes, the clips their lengths, the answers 4 tokens a second of speech. No value of
the step is meaningful; its time and its memory are those of a run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import torch
from torch import nn

from steermoe_core.data.collator import Collator
from steermoe_core.data.example import Example
from steermoe_core.data.examples import Examples
from steermoe_core.data.layout import ids
from steermoe_core.data.usable import Report
from steermoe_core.evaluate.probes import Probe
from steermoe_core.model.weights import shapes_only
from steermoe_core.run.assembly.builder import Builder
from steermoe_core.run.cost.batch import answer_tokens, keeps_frames, noise_batch
from steermoe_core.run.cost.lengths import Clips
from steermoe_core.system.hub import nothing_fetched

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from steermoe_core.config.experiment import Experiment
    from steermoe_core.data.layout import Batch
    from steermoe_core.data.padded import Padded
    from steermoe_core.model.decoder import Decoder
    from steermoe_core.model.joined import Joined
    from steermoe_core.plugins import Registry
    from steermoe_core.run.cost.lengths import Lengths

#: Numbers that weights repeat, and their scale.
_BLOCK, _SCALE = 2**20, 0.02
#: Ids that no answer has: most tokenizers have special tokens there.
_SPECIAL = 10


class NoiseBuilder(Builder):
    """Builds the parts of an experiment without its weights and its audio.

    An adapter that the experiment starts from lends its shapes alone. Augmentations are left out.

    :param lengths: of the clips: those of the experiment's own, or published ones, which need no data.
    :param device: that holds the weights.
    """

    def __init__(
        self, experiment: Experiment, registry: Registry, lengths: Lengths = "data", device: str = "cpu"
    ) -> None:
        super().__init__(attrs.evolve(experiment, augment=[]), registry)
        self.start = None
        self._lengths, self._device = lengths, device
        self._train = self.experiment.train

    def model(self, decoder: Decoder | None = None) -> Joined:
        """Build the model with random weights.

        :raises SetupError: the shapes of a part are not known on this machine.
        """
        with nothing_fetched(), shapes_only():
            model = super().model(decoder)
        return filled(model, self._device)

    def collator(self, model: Joined, features: Callable[..., Padded] | None = None) -> NoiseCollator:
        text = (0, 0)
        if model.decoder.tokenizer is not None:  # it is on this machine
            text = super().collator(model).prompt_lengths()
        return NoiseCollator(model, text, features, kept=keeps_frames(model, self._train))

    def train_examples(self, longest: float | None) -> tuple[Examples, Report]:
        if self._lengths == "data":
            with nothing_fetched():
                return super().train_examples(longest)
        most = min(self.experiment.data.max_seconds, longest or self.experiment.data.max_seconds)
        seconds = Clips.like(self._lengths, most).seconds
        found = [
            Example(id=f"noise {number}", audio=Probe("white-noise", one), text="", seconds=one)
            for number, one in enumerate(seconds)
        ]
        return Examples.of(found), Report(total=len(found), seconds=sum(seconds), left_out={})

    def fitting(self, collator: Collator, examples: Sequence[Example]) -> tuple[Examples, Report]:
        kept, report = collator.fitting(examples)
        return Examples.of(kept), report


class NoiseCollator(Collator):
    """Makes batches of noise that are as long as the clips of the examples.

    :param text: tokens before and after the audio.
    :param features: in place of the encoder's.
    :param kept: whether batches have kept frames in place of the encoder's input features.
    """

    def __init__(
        self,
        model: Joined,
        text: tuple[int, int],
        features: Callable[..., Padded] | None = None,
        *,
        kept: bool = False,
    ) -> None:
        self._model, self._text, self._features, self._kept = model, text, features, kept
        self._words = len(model.decoder.embeddings)

    def collate(self, examples: Sequence[Example], *, answered: bool = True) -> Batch:
        seconds = [example.seconds for example in examples]
        batch = noise_batch(self._model, seconds, self._text, 0, kept=self._kept, features=self._features)
        answers = [[*self.reference(example), 0] if answered else [] for example in examples]
        return replace(batch, ids=tuple(example.id for example in examples), answer=ids(answers))

    def prompt_batch(self, waveforms: Sequence[Any], prompts: Sequence[str] | None = None) -> Batch:
        raise NotImplementedError  # nothing is answered

    def prompt_lengths(self) -> tuple[int, int]:
        return self._text

    def fitting(self, examples: Sequence[Example]) -> tuple[Sequence[Example], Report]:
        return examples, Report(
            total=len(examples), seconds=sum(one.seconds for one in examples), left_out={}
        )

    def reference(self, example: Example) -> list[int]:
        """Return tokens of the whole vocabulary, the same whenever they are asked for."""
        count = answer_tokens(example.seconds) - 1  # the end token comes on top
        random = np.random.default_rng(list(example.id.encode()))
        found: list[int] = random.integers(_SPECIAL, self._words, count).tolist()
        return found

    def hypothesis(self, answer: Sequence[int]) -> str:
        raise NotImplementedError  # nothing is answered


def filled(model: Joined, device: str) -> Joined:
    """Give a model on the meta device random weights; shared tensors stay shared.

    The numbers repeat after a million, so that billions are written as fast as memory takes them. Integers
    and masks become ones.
    """
    block = _SCALE * torch.randn(_BLOCK, generator=torch.Generator().manual_seed(0))
    made: dict[int, Tensor] = {}
    for module in model.modules():
        own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        for name, tensor in own:
            if id(tensor) not in made:
                made[id(tensor)] = _random(tensor, block, device)
            setattr(module, name, made[id(tensor)])
    return model


def _random(tensor: Tensor, block: Tensor, device: str) -> Tensor:
    is_parameter = isinstance(tensor, nn.Parameter)
    if not tensor.is_floating_point():
        values = torch.ones_like(tensor, device=device)
    else:
        values = torch.empty_like(tensor, device=device)
        numbers = (block if is_parameter else block.abs()).to(device, tensor.dtype)  # a variance is a buffer
        for part in torch.split(values.view(-1), _BLOCK):
            part.copy_(numbers[: len(part)])
    return nn.Parameter(values, tensor.requires_grad) if is_parameter else values
