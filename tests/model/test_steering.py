"""Steering computes the paper's formulas, touches nothing but frames, and learns through every layer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch

from steermoe_core.data.padded import Padded
from steermoe_core.errors import UsageError
from steermoe_core.model.adapter import NoAdapter
from steermoe_core.model.config import SoftmaxRouterConfig, chosen_layers
from steermoe_core.model.routers import SoftmaxRouter
from tests.parts import TinyConfig, TinyEncoder, batch, joined, noise, steering
from tests.testing.wrong.encoders import Widening

if TYPE_CHECKING:
    from steermoe_core.model.joined import Joined
    from steermoe_core.model.steering import Steering

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def naive(adapter: Steering, row: int, frame: torch.Tensor) -> torch.Tensor:
    """Return one steered frame (D,) by the formulas, number by number in double precision."""
    weight, bias = adapter.router.weight[row].double(), adapter.router.bias[row].double()
    logits = [
        sum(w * x for w, x in zip(weight[e].tolist(), frame.tolist(), strict=False)) + bias[e].item()
        for e in range(len(bias))
    ]
    total = sum(math.exp(logit) for logit in logits)
    gates = [math.exp(logit) / total for logit in logits]
    shift = [
        adapter.scales[row].item() * sum(g * adapter.vectors[row, e, d].item() for e, g in enumerate(gates))
        for d in range(len(frame))
    ]
    return frame + torch.tensor(shift, dtype=torch.float64)


def test_tap_computes_the_formulas(encoder: TinyEncoder) -> None:
    """X = u + scale[l] · Σ_e softmax(W[l] u + b[l])[e] · V[l,e], frame by frame."""
    adapter = steering(encoder)
    frames = Padded(torch.randn(2, 3, encoder.width), torch.tensor([3, 2]))

    for layer in range(encoder.layers):
        steered = adapter.tap(layer, frames)
        for given_frame, found in zip(frames.values.flatten(0, 1), steered.values.flatten(0, 1), strict=True):
            torch.testing.assert_close(found.double(), naive(adapter, layer, given_frame.double()), **CLOSE)
        assert steered.lengths is frames.lengths


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_shift_is_one_product_in_the_precision_of_the_frames(
    encoder: TinyEncoder, dtype: torch.dtype
) -> None:
    """Autocast neither rounds the frames nor changes their type; gradients are those of the formula."""
    adapter, values = steering(encoder), torch.randn(2, 3, encoder.width).to(dtype).requires_grad_()
    frames = Padded(values, torch.tensor([3, 2]))
    with torch.autocast("cpu", torch.bfloat16):
        gates = adapter.router.gates(frames.holding(values.float()), 0)
        steered = adapter.tap(0, frames).values
    shift = adapter.scales[0] * (gates.to(dtype) @ adapter.vectors[0].to(dtype))

    close = CLOSE if dtype == torch.float32 else {"rtol": 2e-2, "atol": 2e-2}
    torch.testing.assert_close(steered, (values + shift).to(dtype), **close)
    one, other = (torch.autograd.grad(out.float().sum(), adapter.vectors) for out in (steered, shift))
    torch.testing.assert_close(one[0], other[0], **close)


def test_router_slice_is_the_big_router(encoder: TinyEncoder) -> None:
    """A layer's row block gives the gates that all L·E logits give at that block."""
    router = SoftmaxRouter(SoftmaxRouterConfig(temperature=2.0), encoder.width, 4, 3)
    hidden = torch.randn(2, 5, encoder.width)
    everything = hidden @ router.weight.flatten(0, 1).T + router.bias.flatten()  # (B,T,L·E)

    for row in range(3):
        gates = (everything[..., 4 * row : 4 * (row + 1)] / 2.0).softmax(-1)
        torch.testing.assert_close(router(hidden, row), gates, **CLOSE)


def test_start_zero_is_the_unsteered_encoder(encoder: TinyEncoder, features: Padded) -> None:
    """With vectors of standard deviation 0 the frames are bit-equal to those of the bare encoder."""
    steered = encoder(features, steering(encoder, start=0.0).tap)

    assert torch.equal(steered.values, encoder(features).values)


def test_start_zero_is_the_linear_baseline(encoder: TinyEncoder, decoder_folder: str) -> None:
    """Loss and logits of step 0 are those without an adapter, and the vectors have a gradient."""
    baseline = joined(decoder_folder, NoAdapter(None), encoder=encoder)
    steered = joined(decoder_folder, steering(encoder, start=0.0), encoder=encoder)
    given_batch = batch(encoder)

    def logits(model: Joined) -> torch.Tensor:
        inputs, prefix = model.inputs(given_batch, model.audio(given_batch.features), answered=True)
        return model.decoder.logits(model.hidden(inputs, prefix))

    loss = steered(given_batch, 9)
    assert torch.equal(logits(steered), logits(baseline))
    assert torch.equal(loss, baseline(given_batch, 9))
    loss.backward()
    assert steered.adapter.vectors.grad.flatten(1).any(1).all()


def test_uniform_gates_add_the_mean_vector(encoder: TinyEncoder) -> None:
    """A router of zeros weighs all experts alike."""
    adapter = steering(encoder)
    torch.nn.init.zeros_(adapter.router.weight)
    torch.nn.init.zeros_(adapter.router.bias)
    frames = Padded(torch.randn(1, 4, encoder.width), torch.tensor([4]))

    shift = adapter.tap(1, frames).values - frames.values

    expected = (adapter.scales[1] * adapter.vectors[1].mean(0)).expand(1, 4, -1)
    torch.testing.assert_close(shift, expected, **CLOSE)


def test_one_expert_is_static_steering(encoder: TinyEncoder, features: Padded) -> None:
    """With one expert every frame is shifted alike; all that is trained has a gradient."""
    adapter = steering(encoder, experts=1, balance=0.1)
    frames = Padded(torch.randn(2, 4, encoder.width), torch.tensor([4, 4]))

    shift = adapter.tap(0, frames).values - frames.values

    torch.testing.assert_close(shift, (adapter.scales[0] * adapter.vectors[0, 0]).expand(2, 4, -1), **CLOSE)
    adapter.watch()
    encoder(features, adapter.tap).values.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in adapter.parameters())
    assert adapter.penalty() == 0
    assert [record["effective"] for record in adapter.statistics()] == [1.0, 1.0, 1.0]


class TestBoundedScale:
    """`bounded = true`: a layer's factor is 2 · scale · sigmoid(trained number)."""

    def test_starts_as_the_free_one(self, encoder: TinyEncoder, features: Padded) -> None:
        """Step 0 is the same, and the statistics show the factor that works."""
        free, bounded = steering(encoder), steering(encoder, bounded=True)
        bounded.watch()

        found = encoder(features, bounded.tap).values

        assert torch.equal(found, encoder(features, free.tap).values)
        assert [record["scale"] for record in bounded.statistics()] == [0.5, 0.5, 0.5]

    def test_stays_between_zero_and_twice_its_start(self, encoder: TinyEncoder) -> None:
        """However far the trained numbers go."""
        adapter = steering(encoder, bounded=True)
        with torch.no_grad():
            adapter.scales.copy_(torch.tensor([-30.0, 30.0, 1.0]))
        expected = [0.0, 1.0, 1 / (1 + math.exp(-1))]

        assert [adapter.scale(row).item() for row in range(3)] == pytest.approx(expected, abs=1e-6)

    def test_learns(self, encoder: TinyEncoder, features: Padded) -> None:
        """Its gradient reaches every layer's number."""
        adapter = steering(encoder, bounded=True)
        encoder(features, adapter.tap).values.square().sum().backward()

        assert adapter.scales.grad.all()


def test_only_chosen_layers_are_steered(encoder: TinyEncoder) -> None:
    """`layers = [2, 0]` owns two rows, in the encoder's order, and leaves layer 1 alone."""
    adapter = steering(encoder, layers=[2, 0])
    frames = Padded(torch.randn(1, 4, encoder.width), torch.tensor([4]))

    assert adapter.vectors.shape == (2, 4, encoder.width)
    assert adapter.router.weight.shape == (2, 4, encoder.width)
    assert adapter.first_layer == 0
    assert adapter.tap(1, frames) is frames
    expected = naive(adapter, 1, frames.values[0, 0].double())
    torch.testing.assert_close(adapter.tap(2, frames).values[0, 0].double(), expected, **CLOSE)


def test_a_layer_that_does_not_exist_is_refused() -> None:
    """The message names the layer and the layers that there are."""
    with pytest.raises(UsageError, match="layer 3, but the encoder's layers are 0 to 2"):
        chosen_layers([0, 3], 3)
    with pytest.raises(UsageError, match="layer 3, but the decoder's layers are 0 to 2"):
        chosen_layers([3], 3, "decoder")
    with pytest.raises(UsageError, match="the decoder offers no layers to adapters"):
        chosen_layers([], 0, "decoder")


def test_gradients_reach_vectors_scales_and_router_only(encoder: TinyEncoder, features: Padded) -> None:
    """Every trained tensor gets a finite gradient that is not zero, in every layer; no frozen one does."""
    adapter = steering(encoder)
    encoder(features, adapter.tap).values.square().sum().backward()

    for name, parameter in adapter.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert (parameter.grad.flatten(1) if parameter.ndim > 1 else parameter.grad[:, None]).any(1).all(), (
            name
        )
    assert all(parameter.grad is None for parameter in encoder.parameters())
    grouped = [parameter for group in adapter.groups().values() for parameter in group]
    assert {id(p) for p in grouped} == {id(p) for p in adapter.parameters()}


def test_no_graph_before_the_first_steered_layer(encoder: TinyEncoder, features: Padded) -> None:
    """Layers below the first steered one cost no backward pass."""
    adapter = steering(encoder, layers=[1])
    seen = {}

    def tap(layer: int, frames: Padded) -> Padded:
        seen[layer] = frames.values.requires_grad
        return adapter.tap(layer, frames)

    encoder(features, tap)

    assert seen == {0: False, 1: False, 2: True}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_frames_keep_the_encoders_precision(dtype: torch.dtype, features: Padded) -> None:
    """An encoder in another precision goes on in it; what is trained stays in fp32."""
    encoder = TinyEncoder(TinyConfig()).to(dtype)
    adapter = steering(encoder)

    assert encoder(features, adapter.tap).values.dtype == dtype
    assert adapter.vectors.dtype == torch.float32


def test_padding_never_matters(encoder: TinyEncoder, features: Padded) -> None:
    """Frames, balance loss and statistics of a batch are its clips' own, whatever the padding holds."""
    adapter = steering(encoder, balance=1.0)
    garbage = Padded(torch.where(features.mask[..., None], features.values, 1e4), features.lengths)

    results = []
    for given_features in (features, garbage):
        adapter.watch()
        frames = encoder(given_features, adapter.tap)
        results.append((frames.rows(), adapter.penalty(), adapter.statistics()))

    (rows, penalty, statistics), (rows_again, penalty_again, statistics_again) = results
    for one, two in zip(rows, rows_again, strict=True):
        torch.testing.assert_close(one, two, **CLOSE)
    torch.testing.assert_close(penalty, penalty_again, **CLOSE)
    for one_layer, two_layer in zip(statistics, statistics_again, strict=True):
        assert one_layer["load"] == pytest.approx(two_layer["load"], abs=1e-5)
        assert one_layer["relative_norm"] == pytest.approx(two_layer["relative_norm"], abs=1e-5)
    for number, row in enumerate(features.rows()):
        alone = encoder(Padded(row[None], features.lengths[number : number + 1]), adapter.tap)
        torch.testing.assert_close(alone.values[0], rows[number], **CLOSE)


class TestLayersOfDifferentWidths:
    """Vectors and routers as wide as each layer; everything else as for even layers."""

    @pytest.fixture
    def uneven(self) -> Widening:
        """Return an encoder with layers of widths 12, 8 and 20."""
        return Widening(None)

    def test_vectors_have_the_width_of_their_layer(self, uneven: Widening) -> None:
        """Named by layer; a router for each width."""
        adapter = steering(uneven, experts=3)

        assert [tuple(one.shape) for one in adapter.vectors] == [(3, 12), (3, 8), (3, 20)]
        assert {name for name, _ in adapter.named_parameters()} == {
            *(f"vectors.{row}" for row in range(3)),
            *(f"router.routers.{width}.{what}" for width in (12, 8, 20) for what in ("weight", "bias")),
            "scales",
        }
        groups = {name: len(tensors) for name, tensors in adapter.groups().items()}
        assert groups == {"steering": 3, "router": 6, "scales": 1}

    def test_tap_computes_the_formulas(self, uneven: Widening) -> None:
        """X = u + scale[l] · Σ_e g[e] · V[l,e] at each layer."""
        adapter = steering(uneven, experts=3)
        for layer, width in enumerate(uneven.layer_widths):
            frames = Padded(torch.randn(2, 3, width), torch.tensor([3, 2]))
            gates = adapter.router.routers[str(width)](frames.values, 0)
            expected = frames.values + adapter.scales[layer] * (gates @ adapter.vectors[layer])
            torch.testing.assert_close(adapter.tap(layer, frames).values, expected, **CLOSE)

    def test_layers_of_one_width_share_a_router(self, uneven: Widening) -> None:
        """Each has a row in it."""
        uneven.layer_widths = (12, 20, 12)
        adapter = steering(uneven, experts=2)

        assert adapter.router.routers["12"].weight.shape == (2, 2, 12)
        assert adapter.router.places == [("12", 0), ("20", 0), ("12", 1)]

    def test_everything_learns_and_is_reported(self, uneven: Widening) -> None:
        """Gradients, statistics and the load-balance loss."""
        adapter = steering(uneven, experts=3, balance=0.1)
        adapter.watch()
        uneven(uneven.features([noise(0.4), noise(0.8, 1)]), adapter.tap).values.square().sum().backward()

        assert all(parameter.grad is not None for parameter in adapter.parameters())
        assert adapter.penalty() > 0
        assert [len(layer["load"]) for layer in adapter.statistics()] == [3, 3, 3]

    def test_even_layers_have_one_tensor(self, encoder: TinyEncoder) -> None:
        """As before: adapters that were trained are read."""
        assert set(dict(steering(encoder).named_parameters())) == {
            "vectors", "router.weight", "router.bias", "scales",
        }  # fmt: skip
