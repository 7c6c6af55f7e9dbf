"""Knockouts change the gates they are about, by the rule they name, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from steermoe_aligner.aligner import Aligner
from steermoe_aligner.config import AlignerConfig
from steermoe_core.model.adapter import NoAdapter
from steermoe_core.model.knockouts import ALL_LAYERS, EXPERT, LAYER, MEAN_GATES, Knockout, knockouts, without
from tests.parts import build_router, noise, router, steering

if TYPE_CHECKING:
    from steermoe_core.data.padded import Padded
    from steermoe_core.model.adapter import Adapter
    from tests.parts import TinyEncoder

GATES = st.lists(st.floats(-4.0, 4.0).filter(lambda gate: abs(gate) > 1e-3), min_size=2, max_size=9)


@torch.no_grad()
def frames(adapter: Adapter, encoder: TinyEncoder, features: Padded, *out: Knockout) -> torch.Tensor:
    """Return the adapted frames of all clips (N,D), under a knockout if one is given."""
    for knockout in out:
        with adapter.rerouted(knockout):
            return frames(adapter, encoder, features)
    return torch.cat(adapter.after(encoder(features, adapter.tap)).rows())


def observed(
    adapter: Adapter, encoder: TinyEncoder, features: Padded
) -> tuple[list[dict[str, Any]], torch.Tensor]:
    """Return an adapter's statistics and mean gates over the clips."""
    adapter.watch()
    frames(adapter, encoder, features)
    means = adapter.mean_gates()
    return adapter.statistics(), means


@given(GATES, st.data())
def test_without_an_expert(gates: list[float], data: st.DataObject) -> None:
    """Its gate is 0, the size of the mixture and the ratios of the others stay; signs too."""
    expert = data.draw(st.integers(0, len(gates) - 1))
    given_gates = torch.tensor(gates, dtype=torch.float64)

    found = without(given_gates, expert)

    assert found[expert] == 0
    torch.testing.assert_close(found.abs().sum(), given_gates.abs().sum())
    others = [number for number in range(len(gates)) if number != expert]
    torch.testing.assert_close(found[others] / found[others[0]], given_gates[others] / given_gates[others[0]])
    assert (found[others].sign() == given_gates[others].sign()).all()


def test_without_the_only_expert_nothing_is_left() -> None:
    """Nobody is there to take its place."""
    assert without(torch.ones(2, 3, 1), 0).eq(0).all()
    assert without(torch.tensor([0.0, 1.0]), 1).eq(0).all()


def test_a_layer_out_is_a_layer_that_is_not_steered(encoder: TinyEncoder, features: Padded) -> None:
    """As if it had not been chosen; the others go on."""
    adapter = steering(encoder)
    fewer = steering(encoder, layers=[0, 2])
    for name in ("vectors", "scales"):
        getattr(fewer, name).data.copy_(getattr(adapter, name).data[[0, 2]])
    for name in ("weight", "bias"):
        getattr(fewer.router, name).data.copy_(getattr(adapter.router, name).data[[0, 2]])

    assert torch.equal(
        frames(adapter, encoder, features, Knockout(LAYER, 1, 1)), frames(fewer, encoder, features)
    )


def test_all_layers_out_is_the_bare_encoder(encoder: TinyEncoder, features: Padded) -> None:
    """And after the block everything is as before."""
    adapter = steering(encoder)
    before = frames(adapter, encoder, features)

    out = frames(adapter, encoder, features, Knockout(ALL_LAYERS))

    assert torch.equal(out, frames(NoAdapter(None), encoder, features))
    assert torch.equal(frames(adapter, encoder, features), before)
    assert not torch.allclose(out, before)


def test_a_layer_of_scale_zero_may_go(encoder: TinyEncoder, features: Padded) -> None:
    """Its experts, too, bit for bit; those of another layer may not."""
    adapter = steering(encoder)
    with torch.no_grad():
        adapter.scales[1] = 0.0
    before = frames(adapter, encoder, features)

    for one in (Knockout(LAYER, 1, 1), Knockout(EXPERT, 1, 1, 2)):
        assert torch.equal(frames(adapter, encoder, features, one), before)
    assert not torch.equal(frames(adapter, encoder, features, Knockout(EXPERT, 0, 0, 2)), before)


def test_the_mean_of_what_never_changes_is_itself(encoder: TinyEncoder, features: Padded) -> None:
    """One expert, or a router that is deaf to the frame: mean gates change nothing."""
    static, deaf, alive = steering(encoder, experts=1), steering(encoder), steering(encoder)
    deaf.router.weight.data.zero_()
    for adapter in (static, deaf, alive):
        _, means = observed(adapter, encoder, features)
        before, after = (
            frames(adapter, encoder, features, *out) for out in ([], [Knockout(MEAN_GATES, means=means)])
        )
        assert torch.allclose(before, after, atol=1e-6) == (adapter is not alive)


@pytest.mark.parametrize("routed", ["softmax", "linear"])
def test_mean_gates_keep_their_signs(encoder: TinyEncoder, features: Padded, routed: str) -> None:
    """They are those of the valid frames; padding has no say."""
    adapter = Aligner(AlignerConfig(experts=4, start=1.0, router=router(routed)), encoder, build_router)
    _, means = observed(adapter, encoder, features)

    heard = torch.cat(encoder(features).rows())
    wanted = adapter.router(heard[None], 0)[0].mean(0)

    torch.testing.assert_close(means[0].float(), wanted)
    assert (means < 0).any() == (routed == "linear")


def test_every_expert_and_layer_has_its_turn(encoder: TinyEncoder, features: Padded) -> None:
    """Layers are named as the statistics name them."""
    layers, means = observed(steering(encoder, layers=[0, 2]), encoder, features)

    found = [(one.what, one.layer, one.row, one.expert) for one in knockouts(layers, means)]

    assert found == [
        (ALL_LAYERS, None, None, None),
        (MEAN_GATES, None, None, None),
        (LAYER, 0, 0, None),
        (LAYER, 2, 1, None),
        *((EXPERT, layer, row, expert) for row, layer in ((0, 0), (1, 2)) for expert in range(4)),
    ]


def test_an_adapter_without_gates_goes_on(encoder: TinyEncoder, features: Padded) -> None:
    """There is nothing to reroute, and nothing to tell."""
    adapter = NoAdapter(None)
    before = frames(adapter, encoder, features)

    assert torch.equal(frames(adapter, encoder, features, Knockout(ALL_LAYERS)), before)
    assert adapter.grouped_statistics({"a": [0]}) == {"a": []}


def test_a_group_has_the_statistics_of_its_clips(encoder: TinyEncoder, features: Padded) -> None:
    """Those of a batch of them alone; groups in batches are told apart by the order of their clips."""
    adapter = steering(encoder)
    adapter.watch()
    for _ in range(2):
        frames(adapter, encoder, features)

    found = adapter.grouped_statistics({"first": [0, 3], "others": [1, 2, 4, 5], "all": range(6)})

    whole = adapter.statistics()
    alone = encoder.features([noise(0.4, 0)])
    assert_same(found["first"], observed(adapter, encoder, alone)[0])
    assert_same(found["all"], whole)
    assert found["others"] != whole


def assert_same(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    """Compare records, numbers up to rounding."""
    for one, other in zip(found, wanted, strict=True):
        assert one["layer"] == other["layer"]
        for name in ("entropy", "usage_entropy", "effective", "relative_norm", "load"):
            assert one[name] == pytest.approx(other[name], rel=1e-4, abs=2e-6)
