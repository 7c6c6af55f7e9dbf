"""Routers: what their gates are, what they cost, and that noise belongs to training alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from steermoe_core.cli.main import main
from steermoe_core.data.padded import Padded
from steermoe_core.errors import UsageError
from steermoe_core.model.config import SteeringConfig
from steermoe_core.model.steering import Steering
from tests.parts import TinyConfig, TinyEncoder, build_router, noise, router, steering
from tests.testing.wrong.routers import RightUtterance

if TYPE_CHECKING:
    from steermoe_core.model.routers import LinearMap
    from tests.rig import Rig

WIDTH, EXPERTS, LAYERS = 12, 4, 3
CLOSE = {"rtol": 1e-5, "atol": 1e-6}
BUILT_IN = ["softmax", "topk", "shared", "shared-mixed"]


def build(
    name: str, width: int = WIDTH, experts: int = EXPERTS, layers: int = LAYERS, **settings: Any
) -> Any:
    """Return a router whose random numbers are always the same."""
    torch.manual_seed(0)
    return build_router(router(name, **settings), width, experts, layers)


@pytest.fixture
def hidden() -> torch.Tensor:
    """Return frames (2,5,D)."""
    return torch.randn(2, 5, WIDTH, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", BUILT_IN)
def test_gates_are_shares(hidden: torch.Tensor, name: str) -> None:
    """Of every frame at every layer: none negative, 1 together."""
    built = build(name, temperature=0.7)

    for row in range(LAYERS):
        gates = built(hidden, row)
        assert gates.shape == (2, 5, EXPERTS)
        assert (gates >= 0).all()
        torch.testing.assert_close(gates.sum(-1), torch.ones(2, 5))


@pytest.mark.parametrize("name", BUILT_IN)
def test_temperature_divides_the_logits(hidden: torch.Tensor, name: str) -> None:
    """A high one evens the gates out, a low one leaves the best expert."""
    logits = build(name).logits(hidden, 1)

    for temperature in (0.5, 3.0):
        gates = build(name, temperature=temperature)(hidden, 1)
        torch.testing.assert_close(gates, (logits / temperature).softmax(-1), **CLOSE)


class TestTopK:
    """The best experts of each frame."""

    def test_shares_among_the_best(self, hidden: torch.Tensor) -> None:
        """The k largest gates of the dense softmax, made to add up to 1 again; the others are 0."""
        sparse, dense = build("topk", k=2)(hidden, 2), build("softmax")(hidden, 2)

        for frame, all_of_them in zip(sparse.flatten(0, 1), dense.flatten(0, 1), strict=True):
            best = all_of_them.argsort(descending=True)[:2]
            expected = torch.zeros(EXPERTS)
            expected[best] = all_of_them[best] / all_of_them[best].sum()
            torch.testing.assert_close(frame, expected, **CLOSE)

    def test_of_all_experts_is_softmax(self, hidden: torch.Tensor) -> None:
        """With k = E nothing is left out."""
        assert torch.equal(build("topk", k=EXPERTS)(hidden, 0), build("softmax")(hidden, 0))

    def test_gradient_goes_through_the_chosen_alone(self, hidden: torch.Tensor) -> None:
        """One frame moves the rows of its own experts."""
        built = build("topk", k=2)
        gates = built(hidden[:1, :1], 0)[0, 0]
        (gates * torch.arange(1.0, EXPERTS + 1)).sum().backward()

        moved = built.weight.grad[0].any(-1)
        assert moved.tolist() == (gates > 0).tolist()
        assert moved.sum() == 2

    def test_wants_no_more_experts_than_there_are(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """`check` says so, without a model."""
        chosen = 'adapter.router={use="topk", k=4}'

        assert main(["check", str(rig.file), "--set", chosen]) == 2
        assert "router.k is 4, but experts is 3; lower k or take more experts" in capsys.readouterr().err
        assert main(["check", str(rig.file), "--set", chosen, "--set", "adapter.experts=4"]) == 0

    def test_of_one_has_nothing_to_learn(self) -> None:
        """Its gate would be 1 whatever the logits are."""
        with pytest.raises(ValueError, match="'k' must be >= 2"):
            router("topk", k=1)


class TestShared:
    """One map for all layers."""

    def test_is_the_same_at_every_layer(self, hidden: torch.Tensor) -> None:
        """A frame has the same gates wherever it is steered."""
        built = build("shared")
        expected = (hidden @ built.weight[0].T + built.bias[0]).softmax(-1)

        for row in range(LAYERS):
            torch.testing.assert_close(built(hidden, row), expected, **CLOSE)

    def test_mixed_starts_as_shared(self, hidden: torch.Tensor) -> None:
        """The matrices start as the identity."""
        for row in range(LAYERS):
            torch.testing.assert_close(build("shared-mixed")(hidden, row), build("shared")(hidden, row))

    def test_mixed_mixes_the_logits(self, hidden: torch.Tensor) -> None:
        """Softmax(M[l]ᵀ z), with the layer's own M."""
        built = build("shared-mixed")
        torch.nn.init.normal_(built.mix)

        for row in range(LAYERS):
            for frame, gates in zip(hidden[0], built(hidden, row)[0], strict=True):
                logits = built.weight[0] @ frame + built.bias[0]
                torch.testing.assert_close(gates, (built.mix[row].T @ logits).softmax(-1), **CLOSE)


@pytest.mark.parametrize(
    ("name", "weights", "biases"),
    [("softmax", 327_680, 256), ("topk", 327_680, 256), ("shared", 10_240, 8), ("shared-mixed", 12_288, 8)],
)
def test_size_beside_whisper_large(name: str, weights: int, biases: int) -> None:
    """32 layers of width 1280 with 8 experts."""
    with torch.device("meta"):
        built = build(name, 1280, 8, 32)
    sizes = {name: parameter.numel() for name, parameter in built.named_parameters()}

    assert sizes.pop("bias") == biases
    assert sum(sizes.values()) == weights


class TestJitter:
    """Noise on what the router sees."""

    @pytest.fixture
    def passing(self) -> LinearMap:
        """Return a router whose logits are what it sees."""
        built: LinearMap = build("softmax", EXPERTS, EXPERTS, 1, jitter=0.2)
        with torch.no_grad():
            built.weight.copy_(torch.eye(EXPERTS)[None])
            built.bias.zero_()
        return built

    def test_is_uniform_around_one(self, passing: LinearMap) -> None:
        """Each number is multiplied by one of its own from [0.8, 1.2]."""
        factors = passing.logits(torch.full((50, 40, EXPERTS), 3.0), 0) / 3.0

        assert factors.min().item() == pytest.approx(0.8, abs=1e-3)
        assert factors.max().item() == pytest.approx(1.2, abs=1e-3)
        assert factors.mean().item() == pytest.approx(1.0, abs=1e-2)
        assert factors.std().item() == pytest.approx(0.4 / 12**0.5, rel=0.05)

    def test_belongs_to_training(self, passing: LinearMap) -> None:
        """In eval mode, and without the setting, the router sees the frames as they are."""
        hidden = torch.randn(1, 3, EXPERTS)

        assert not torch.equal(passing.logits(hidden, 0), hidden)
        assert torch.equal(passing.eval().logits(hidden, 0), hidden)
        plain = build("softmax", jitter=0.0).train()
        wide = torch.randn(1, 3, WIDTH)
        assert torch.equal(plain(wide, 0), plain(wide, 0))

    def test_comes_from_torchs_generator(self, passing: LinearMap) -> None:
        """So that a run that goes on draws what it would have drawn."""
        hidden = torch.randn(1, 3, EXPERTS)
        state = torch.get_rng_state()
        first = passing.logits(hidden, 0)
        torch.set_rng_state(state)

        assert torch.equal(passing.logits(hidden, 0), first)

    def test_is_the_same_when_a_layer_is_computed_again(self) -> None:
        """Gradients with recomputed layers are those without."""
        encoder = TinyEncoder(TinyConfig())
        features = encoder.features([noise(0.8), noise(1.1, 1)])
        gradients = []
        for recompute in (False, True):
            encoder.recompute = recompute
            adapter = steering(encoder, router=router("softmax", jitter=0.5)).train()
            torch.manual_seed(3)
            loss = encoder(features, adapter.tap).values.square().sum()
            gradients.append(torch.autograd.grad(loss, list(adapter.parameters())))

        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(one, other)

    def test_keeps_below_one(self) -> None:
        """No number changes its sign."""
        with pytest.raises(ValueError, match="'jitter' must be < 1"):
            router("softmax", jitter=1.0)


@pytest.mark.parametrize("name", BUILT_IN)
def test_one_expert_has_no_router(name: str) -> None:
    """Static steering: every frame has the gate 1, so there is nothing that a router could learn."""
    if name == "topk":
        with pytest.raises(ValueError, match=r"router.k is 2, but experts is 1"):
            SteeringConfig(experts=1, router=router(name))
        return
    encoder = TinyEncoder(TinyConfig())
    adapter = steering(encoder, experts=1, router=router(name))

    assert {name for name, _ in adapter.named_parameters()} == {"vectors", "scales"}
    assert sum(p.numel() for p in adapter.parameters()) == LAYERS * WIDTH + LAYERS
    assert adapter.groups()["router"] == []


class TestUtterances:
    """A router of whole utterances sees which frames are padding."""

    @pytest.fixture
    def adapter(self) -> Any:
        """Return steering that is routed by mean frames."""
        encoder = TinyEncoder(TinyConfig())
        torch.manual_seed(2)
        config = SteeringConfig(experts=3, start=1.0, scale=0.5, router=router())
        return Steering(config, encoder, lambda _, *context: RightUtterance(None, *context))

    def test_an_utterance_is_steered_alike_in_every_batch(self, adapter: Any) -> None:
        """Whatever the padding holds."""
        encoder = TinyEncoder(TinyConfig())
        waves = [noise(0.4), noise(1.2, 1), noise(0.8, 2)]

        together = encoder(encoder.features(waves), adapter.tap).rows()

        for wave, frames in zip(waves, together, strict=True):
            alone = encoder(encoder.features([wave]), adapter.tap).values[0]
            torch.testing.assert_close(frames, alone, **CLOSE)

    def test_all_frames_of_an_utterance_have_the_same_gates(self, adapter: Any) -> None:
        """Those of the mean of its valid frames."""
        frames = Padded(torch.randn(2, 5, WIDTH), torch.tensor([5, 2]))

        gates = adapter.router.gates(frames, 1)

        mean = frames.values[1, :2].mean(0)
        torch.testing.assert_close(gates[1, 0], (adapter.router.weight[1] @ mean).softmax(-1), **CLOSE)
        assert torch.equal(gates[1, 0], gates[1, 1])

    def test_a_decoder_has_no_whole_utterances(self) -> None:
        """It would be routed by one token at a time when it generates."""
        config = SteeringConfig(experts=3, router=router(), on="decoder")
        with pytest.raises(UsageError, match=r'router "softmax" routes whole utterances.*on = "encoder"'):
            Steering(config, TinyEncoder(TinyConfig()), lambda _, *context: RightUtterance(None, *context))

    def test_lengths_are_required(self, adapter: Any) -> None:
        """An adapter that passes none would let padding change the gates."""
        with pytest.raises(UsageError, match=r"RightUtterance routes whole utterances.*router\.gates"):
            adapter.router(torch.randn(2, 5, WIDTH), 0)

    def test_routers_of_frames_take_padded_frames(self, hidden: torch.Tensor) -> None:
        """A router that was written before: the gates are those of its `forward`."""
        built = build("softmax")

        assert torch.equal(built.gates(Padded(hidden, torch.tensor([5, 3])), 1), built(hidden, 1))
