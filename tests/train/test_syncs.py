"""Between two logged steps, training never waits for the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from steermoe_core.data.collators import AsrCollator
from steermoe_core.data.config import AsrConfig
from steermoe_core.data.padded import Padded
from steermoe_core.model.adapter import Adapters
from steermoe_core.model.config import MlpConfig, PoolConfig, SoftPromptConfig
from steermoe_core.model.projectors import MlpProjector
from steermoe_core.model.soft_prompt import SoftPrompt
from steermoe_core.train.callbacks import Callback
from tests.parts import TinyConfig, TinyEncoder, decoder, joined, steering
from tests.train.syncs import META, Syncs, on_meta

if TYPE_CHECKING:
    from steermoe_core.model.joined import Joined
    from tests.train.conftest import Bench

#: No step before the last is logged.
LONG = {"steps": 9, "log_every": 9, "accumulation": 2}
RATES = dict.fromkeys(("projector", "steering", "router", "scales", "soft-prompt"), 1e-3)
PROMPTED = AsrConfig(template="{prompt}{audio}", prompt="one two three")


class EnoughError(Exception):
    """Ends the training before its last step, which is logged."""


class Between(Callback):
    """Counts from the end of one step to the end of another, with none logged from then on."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last, self.counted = first, last, Syncs()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begin or end."""
        if state.global_step == self.first:
            self.counted.__enter__()
        if state.global_step == self.last:
            self.counted.__exit__(None, None, None)
            raise EnoughError


def plain(bench: Bench) -> Joined:
    """Return steering with an own loss, and pooling by maximum."""
    encoder, language_model = TinyEncoder(TinyConfig()), decoder(bench.decoder_folder)
    projector = MlpProjector(MlpConfig(pool=PoolConfig(kind="max", kernel=2)), encoder.width, language_model)
    return joined(bench.decoder_folder, steering(encoder, balance=0.5), projector, encoder)


def adapted(bench: Bench) -> Joined:
    """Return a model with adapters on its decoder: steering, and a soft prompt."""
    model = joined(bench.decoder_folder)
    parts = [
        steering(model.decoder, on="decoder", experts=2, balance=0.5),
        SoftPrompt(SoftPromptConfig(tokens=3), model.decoder),
    ]
    return type(model)(model.encoder, model.adapter, model.projector, model.decoder, Adapters(parts))


def quantised(bench: Bench) -> Joined:
    """Return a model whose decoder stores its weights in 8 bits."""
    model = plain(bench)
    model.decoder = decoder(bench.decoder_folder, quantise="int8")
    return model


CASES = {
    "steering": (plain, AsrConfig(), {}),
    "a prefix that rows share": (plain, PROMPTED, {}),
    "layers computed again": (plain, PROMPTED, {"recompute": ["encoder", "decoder"]}),
    "a quantised decoder": (quantised, AsrConfig(), {}),
    "adapters on the decoder": (adapted, PROMPTED, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_no_step_waits(bench: Bench, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    """The step before the first count pays for what is computed once in a run, such as a prefix."""
    build, layout, settings = CASES[case]
    between = Between(1, 4)
    with on_meta(monkeypatch):
        model = build(bench)
        model.adapters.watch()  # as the step does whose gates are analysed
        trainer = bench.trainer(between, model=model, learning_rate=RATES, **{**LONG, **settings})
        trainer.collate = AsrCollator(layout, model.decoder.tokenizer, model.encoder.features)

        with pytest.raises(EnoughError):
            trainer.train()

    assert between.counted.found == {}


def test_a_logged_step_waits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written has to be read: the loss, norms, and whether all of them are finite."""
    between = Between(1, 2)
    with on_meta(monkeypatch):
        trainer = bench.trainer(between, steps=9, log_every=1)
        with pytest.raises(EnoughError):
            trainer.train()

    assert sum(between.counted.found.values()) == 4  # the parent's loss, ours, norms, and the check


class TestCounter:
    """Each kind of wait is counted."""

    @pytest.mark.parametrize(
        ("kind", "wait"),
        [
            ("read", lambda there: there.sum().item()),
            ("read", lambda there: bool(there.any())),
            ("copy to the host", lambda there: there.cpu()),
            ("copy to the host", lambda there: there.tolist()),
            ("copy that waits", lambda _: torch.ones(3).to(META)),
            ("copy that waits", lambda _: torch.tensor([1, 2], device=META)),
            ("index on the host", lambda there: there[[0, 2]]),
        ],
    )
    def test_counts(self, kind: str, wait: Any) -> None:
        """Reading a number, and copies in both directions."""
        there = torch.ones(3, device=META)

        with Syncs() as counted:
            wait(there)

        assert dict(counted.found) == {kind: 1}

    @pytest.mark.parametrize(
        ("kind", "wait"),
        [
            ("shape", lambda there: there.nonzero()),
            ("mask as index", lambda there: there[there > 0]),
        ],
    )
    def test_unknown_shapes(self, kind: str, wait: Any) -> None:
        """There is nothing to compute on with."""
        there = torch.ones(3, device=META)

        with pytest.raises((NotImplementedError, RuntimeError)), Syncs() as counted:
            wait(there)

        assert counted.found[kind] == 1

    def test_copies_that_do_not_wait(self) -> None:
        """Values of a batch and their lengths."""
        with Syncs() as counted:
            padded = Padded(torch.ones(2, 3), torch.tensor([3, 2])).to(META)
            assert padded.mask.is_meta
            assert padded.lengths.is_meta

        assert counted.found == {}
        assert [len(row) for row in padded.rows()] == [3, 2]
