"""The checks of a callback: a training run of two steps with it, and the same one without."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import SkipTest

import attrs
import torch

from steermoe_core.config.experiment import TrainConfig
from steermoe_core.data.collators import AsrCollator
from steermoe_core.data.config import AsrConfig, FolderConfig
from steermoe_core.data.sources.folder import read_folder
from steermoe_core.evaluate.scores import Edits, Score, Scores
from steermoe_core.model.config import IdentityConfig
from steermoe_core.model.joined import Joined
from steermoe_core.model.projectors import IdentityProjector
from steermoe_core.model.weights import fingerprint
from steermoe_core.testing.config import TinyConfig
from steermoe_core.testing.modules import ModuleSuite
from steermoe_core.testing.parts import DenseEncoder, decoder, save_decoder
from steermoe_core.testing.suite import Suite, needs
from steermoe_core.testing.tables import structured
from steermoe_core.testing.tiny import DIGITS, write_folder
from steermoe_core.train.callbacks import Callback
from steermoe_core.train.checkpoint import trained_tensors
from steermoe_core.train.groups import trainable_groups
from steermoe_core.train.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDTH = 32


class Notes(Journal):
    """A journal that keeps what callbacks write as they wrote it."""

    def __init__(self, path: Any) -> None:
        super().__init__(path)
        self.written: list[tuple[Any, dict[str, Any]]] = []

    def write(self, step: int, **values: Any) -> None:
        """Keep a record."""
        self.written.append((step, values))


@attrs.frozen
class Trained:
    """What a run of two steps left.

    :param tensors: the trained ones.
    :param frozen: fingerprints of the frozen parts, before and after.
    :param written: what the callback wrote into the journal, by step.
    :param chance: state of torch's random numbers at the end.
    :param callbacks: that watched it.
    """

    tensors: dict[str, torch.Tensor]
    frozen: tuple[str, str]
    written: list[tuple[Any, dict[str, Any]]]
    chance: torch.Tensor
    callbacks: Sequence[Callback]


class CallbackSuite(Suite):
    """Checks of a `Callback`, in a tiny run.

    :cvar adapter: component that is trained: one that the callback watches; empty takes an adapter of the
        callback's own plugin where it has one, else steering.
    :cvar steps: of the run; a callback that acts every so many steps is set to act in them.
    """

    kind = "callback"
    adapter = ""
    steps = 2
    setup_method, teardown_method = ModuleSuite.setup_method, ModuleSuite.teardown_method

    def check_type(self, part: Any) -> None:
        """Refuse what is no callback."""
        self.expect_instance(part, Callback)

    @needs("builds")
    def test_survives(self) -> None:
        """A run of a few steps goes through with it."""
        self._run(watched=True)

    @needs("survives")
    def test_scores(self) -> None:
        """It takes the scores of a split after training, those of another one, and the end of the run."""
        (callback,) = self._run(watched=True).callbacks
        score = Score(metric="wer", value=0.5, interval=None, edits=Edits(1, 0, 0, 2), examples=2, clusters=2)
        facts: dict[str, Any] = {"examples": 2, "left_out": {}, "steering": [], "controls": {}}
        for split, metrics in (("dev", {"wer": score}), ("other", {})):
            callback.examples = []
            callback.on_scores(split, Scores(split=split, metrics=metrics, **facts))
        callback.on_run_end(None)

    @needs("survives")
    def test_journal(self) -> None:
        """What it writes into metrics.jsonl is JSON without nan, under a whole step."""
        for step, values in self._run(watched=True).written:
            self.expect(
                isinstance(step, int), f"it writes {values} under step {step!r}, expected state.global_step"
            )
            try:
                json.dumps(values, allow_nan=False)
            except (TypeError, ValueError) as error:
                msg = (
                    f"it writes {sorted(values)} into metrics.jsonl, which is no JSON ({error}): give plain "
                    "finite values"
                )
                raise self.wrong(msg) from error

    @needs("survives")
    def test_frozen(self) -> None:
        """The frozen parts are the same after the run."""
        before, after = self._run(watched=True).frozen
        self.expect(
            before == after,
            "a frozen tensor was changed in the run: a callback leaves encoder and decoder alone",
        )

    @needs("frozen")
    def test_numbers(self) -> None:
        """The trained numbers are those of a run without it, unless its class has `changes_training`."""
        if self.build().changes_training:
            msg = "its class says changes_training = True"
            raise SkipTest(msg)
        one, other = (self._run(watched=watched) for watched in (False, True))
        declare = "or declare changes_training = True in its class"
        changed = [name for name in one.tensors if not torch.equal(one.tensors[name], other.tensors[name])]
        self.expect(
            not changed,
            f"with it {changed[:1]} is trained to other numbers than without: touch no weight, gradient or "
            f"rate, {declare}",
        )
        same = torch.equal(one.chance, other.chance)
        self.expect(
            same, f"it draws from torch's random numbers, which training needs: use a generator, {declare}"
        )

    def _run(self, *, watched: bool) -> Trained:
        runs: dict[bool, Trained] = self._shared.__dict__.setdefault("runs", {})
        if watched not in runs:
            runs[watched] = self._trained([self.build()] if watched else [], f"run-{watched}")
        return runs[watched]

    def _trained(self, callbacks: Sequence[Callback], name: str) -> Trained:
        from steermoe_core.train.zero import trainer_class

        place = self.folder / name
        examples = read_folder(FolderConfig(path=write_folder(place / "speech", DIGITS[:4])))
        model, notes = self._model(), Notes(place / "metrics.jsonl")
        frozen = partial(fingerprint, model)
        before = frozen()
        rates = dict.fromkeys(trainable_groups(model), 1e-3)
        settings = TrainConfig(steps=self.steps, batch_size=2, device="cpu", log_every=1, learning_rate=rates)
        collator = AsrCollator(AsrConfig(), model.decoder.tokenizer, model.encoder.features)
        trainer = trainer_class(settings)(
            model, settings, 5, place / "checkpoints", examples, collator, notes, callbacks
        )
        trainer.train()
        tensors = {name: tensor.detach().clone() for name, tensor in trained_tensors(model).items()}
        # The engine writes its own lines as well.
        own = [record for record in notes.written if "gradient_norm" not in record[1]]
        return Trained(tensors, (before, frozen()), own, torch.get_rng_state(), callbacks)

    def _model(self) -> Joined:
        encoder = DenseEncoder(TinyConfig(width=_WIDTH))
        language_model = decoder(save_decoder(self.folder / "decoder"))
        torch.manual_seed(0)
        own = [part.name for kind, part in self.plugin.components if kind == "adapter"]
        name = self.adapter or next(iter(own), "steering")
        adapter = self._built(structured(self.registry, "adapter", {"use": name}), encoder, self._built)
        return Joined(
            encoder, adapter, IdentityProjector(IdentityConfig(), _WIDTH, language_model), language_model
        )
