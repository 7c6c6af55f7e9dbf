"""What really happens to each trained tensor in a step: its rate, its decay, its precision, its batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from steermoe_core.model import compiled
from steermoe_core.model.config import SteeringConfig
from steermoe_core.model.steering import Steering
from steermoe_core.train.checkpoint import trained_tensors
from tests.parts import TinyConfig, TinyEncoder, build_router, joined, router
from tests.train.test_trainer import Callback, Killed, differing, differing_states, lines, resume

if TYPE_CHECKING:
    from steermoe_core.data.padded import Padded
    from steermoe_core.model.joined import Joined
    from tests.train.conftest import Bench

#: Powers of ten, so that a tensor in the wrong group is far off.
RATES = {"projector": 1e-3, "steering": 1e-4, "router": 1e-5, "scales": 1e-2, "lora": 1e-6}
GROUPS = {
    "adapter.vectors": "steering",
    "adapter.router.weight": "router",
    "adapter.router.bias": "router",
    "adapter.scales": "scales",
    "adapter.gains": "scales",
    "adapter.down": "lora",
    "adapter.up": "lora",
    "adapter.up_bias": "lora",
    "projector.map.weight": "projector",
    "projector.map.bias": "projector",
}
#: What a decay makes smaller.
MATRICES = {name for name in GROUPS if name.endswith(("vectors", "weight", "down", "up", "gains"))}


class EveryGroup(Steering):
    """Steering with a low-rank map behind the encoder, and scales that are a matrix."""

    def __init__(self, encoder: TinyEncoder) -> None:
        torch.manual_seed(0)
        super().__init__(SteeringConfig(experts=4, start=1.0, router=router()), encoder, build_router)
        self.down = nn.Parameter(torch.randn(2, encoder.width))
        self.up = nn.Parameter(torch.randn(encoder.width, 2))
        self.up_bias = nn.Parameter(torch.randn(encoder.width))
        self.gains = nn.Parameter(torch.ones(1, encoder.width))

    def after(self, frames: Padded) -> Padded:
        """Add the low-rank map of the frames."""
        low = frames.values @ self.down.T @ self.up.T + self.up_bias
        return type(frames)(frames.values * self.gains + low, frames.lengths)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Return four of the five groups; the projector has the fifth."""
        found = super().groups()
        found["scales"] = [*found["scales"], self.gains]
        return {**found, "lora": [self.down, self.up, self.up_bias]}


@pytest.fixture
def model(bench: Bench) -> Joined:
    """Return a model that trains every group."""
    encoder = TinyEncoder(TinyConfig())
    return joined(bench.decoder_folder, adapter=EveryGroup(encoder), encoder=encoder)


def values_of(model: Joined) -> dict[str, torch.Tensor]:
    """Return copies of the trained tensors."""
    return {name: tensor.detach().clone() for name, tensor in trained_tensors(model).items()}


class TestRates:
    """AdamW's first step moves each number by its rate, whatever its gradient: so rates can be measured."""

    def test_each_group_moves_at_its_own(self, bench: Bench, model: Joined) -> None:
        """All five groups, each tensor of them; and that is what the journal says."""
        before = values_of(model)
        config = {"steps": 1, "warmup": 0, "schedule": "constant", "weight_decay": 0.0, "clip": 1e9}
        bench.trainer(model=model, learning_rate=RATES, **config).train()

        assert set(before) == set(GROUPS)
        for name, tensor in values_of(model).items():
            rate = RATES[GROUPS[name]]
            moved = (tensor - before[name]).abs().flatten()
            assert moved.median().item() == pytest.approx(rate, rel=0.1), name
            assert moved.max().item() <= 1.1 * rate, name
        (line,) = bench.journal.read()
        assert line.learning_rate == {name: RATES[name] for name in set(GROUPS.values())}

    def test_schedule_and_warmup_are_shared(self, bench: Bench, model: Joined) -> None:
        """Half-way through the warm-up, each group has half of its rate."""
        bench.trainer(model=model, learning_rate=RATES, steps=4, warmup=2, schedule="linear").train()

        for line, share in zip(bench.journal.read(), (0.0, 0.5, 1.0, 0.5), strict=True):
            assert line.learning_rate == pytest.approx(
                {name: share * RATES[name] for name in set(GROUPS.values())}
            )

    def test_only_matrices_decay(self, bench: Bench, model: Joined) -> None:
        """One step with decay and one without differ by rate times decay times value, or not at all."""
        config = {"steps": 1, "warmup": 0, "schedule": "constant", "learning_rate": RATES}
        encoder = TinyEncoder(TinyConfig())
        plain = joined(bench.decoder_folder, adapter=EveryGroup(encoder), encoder=encoder)
        before = values_of(model)
        bench.elsewhere("plain").trainer(model=plain, weight_decay=0.0, **config).train()
        bench.elsewhere("decayed").trainer(model=model, weight_decay=0.5, **config).train()

        without = values_of(plain)
        for name, tensor in values_of(model).items():
            lost = without[name] - tensor
            if name in MATRICES:
                expected = 0.5 * RATES[GROUPS[name]] * before[name]
                torch.testing.assert_close(lost, expected, rtol=1e-2, atol=5e-7, msg=name)
            else:
                assert not lost.any(), name


class TestPrecision:
    """`precision` of the forward pass."""

    def test_bf16_stays_close_to_fp32(self, bench: Bench) -> None:
        """It trains the same fp32 tensors on nearly the same losses, and is not fp32 in disguise.

        The random language model's logits are large, so that rounding shows more than in a trained one.
        """
        full, half = bench.elsewhere("fp32"), bench.elsewhere("bf16")
        full.trainer(steps=8).train()
        trainer = half.trainer(steps=8, precision="bf16")
        trainer.train()

        first, second = ([line.loss for line in place.journal.read()] for place in (full, half))
        assert second == pytest.approx(first, rel=0.1)
        assert second != first
        assert {tensor.dtype for tensor in trained_tensors(trainer.model).values()} == {torch.float32}


class KillInside(Callback):
    """Ends the run between two batches of one step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_substep_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """End it, if it is the step that is being made."""
        if state.global_step + 1 == self.step:
            raise Killed


class TestResume:
    """Wherever a run breaks off, the rest is the same."""

    @pytest.mark.parametrize(
        "settings",
        [
            {"batch_size": 3, "accumulation": 3},  # an epoch has 4 batches: steps begin in its middle
            {"batch_size": 4, "accumulation": 2},  # 3 batches: every second step reaches into the next epoch
            {"batch_size": 2, "accumulation": 4, "precision": "bf16"},
            {"batch_size": 4, "accumulation": 2, "recompute": ["encoder", "decoder"], "packing": ["decoder"]},
        ],
    )
    def test_within_an_epoch_and_within_a_step(self, bench: Bench, settings: dict[str, Any]) -> None:
        """Half of a step's gradients are lost and made again; tensors, moments and journal are bit-equal."""
        config = {"steps": 6, "save_every": 1, **settings}
        whole, parts = bench.elsewhere("whole"), bench.elsewhere("parts")
        straight = whole.trainer(**config)
        straight.train()
        with pytest.raises(Killed):
            parts.trainer(KillInside(4), **config).train()

        resumed = resume(parts, **config)

        assert differing(straight.model, resumed.model) == []
        assert differing_states(straight.optimizer, resumed.optimizer) == []
        assert lines(parts) == lines(whole)

    @pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
    def test_with_compiled_layers(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """What the compiler sees does not depend on where a run resumes; what it makes of it is its own."""
        config = {"steps": 4, "save_every": 1, "accumulation": 2, "compile": True}
        call = torch.compile(compiled._call, dynamic=True, backend="eager")
        monkeypatch.setattr(compiled, "_compiled", lambda: call)
        whole, parts = bench.elsewhere("whole"), bench.elsewhere("parts")
        torch._dynamo.reset()
        straight = whole.trainer(**config)
        straight.train()
        with pytest.raises(Killed):
            parts.trainer(KillInside(3), **config).train()
        torch._dynamo.reset()

        resumed = resume(parts, **config)

        assert differing(straight.model, resumed.model) == []
        assert lines(parts) == lines(whole)
