"""What gates do: their load-balance loss and their statistics, over valid frames only."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steermoe_core.data.padded import Padded
from steermoe_core.model.gates import GateStatistics, balance_loss
from tests.parts import TinyEncoder, steering


class TestBalance:
    """The load-balance loss: KL(mean gate ‖ uniform) over valid frames."""

    @given(st.integers(0, 2**31), st.integers(2, 6))
    @settings(deadline=None, max_examples=25)
    def test_equals_the_definition_and_is_never_negative(self, seed: int, experts: int) -> None:
        """Σ_e p(e) · log(p(e)·E) with p the mean over valid frames; padding has no part in it."""
        generator = torch.Generator().manual_seed(seed)
        gates = torch.randn(3, 5, experts, generator=generator).softmax(-1)
        mask = torch.arange(5) < torch.tensor([5, 1, 3])[:, None]

        usage = torch.stack([gates[b, t] for b in range(3) for t in range(5) if mask[b, t]]).double().mean(0)
        expected = sum(p * math.log(p * experts) for p in usage.tolist())
        loss = balance_loss(gates, mask).item()

        assert loss == pytest.approx(expected, abs=1e-5)
        assert loss >= -1e-6

    def test_is_larger_than_the_scripts_by_the_number_of_experts(self) -> None:
        """KL(uniform ‖ usage) / E is an E-th of it near even use, and something like it further off."""
        factors = {}
        for spread in (0.05, 0.5):
            for seed in range(200):
                draw = torch.randn(8, generator=torch.Generator().manual_seed(seed))
                gates = (spread * draw).softmax(-1)[None, None]
                scripts = torch.nn.functional.kl_div(
                    gates[0, 0].log(), torch.full((8,), 1 / 8), reduction="batchmean"
                )
                loss = balance_loss(gates, torch.ones(1, 1, dtype=torch.bool))
                factors.setdefault(spread, []).append((loss / scripts).item())

        near, far = (torch.tensor(found) for found in factors.values())
        assert near.mean().item() == pytest.approx(8, rel=0.01)
        assert (round(far.mean().item(), 1), round(far.min().item(), 1), round(far.max().item(), 1)) == (
            7.7, 5.9, 9.7,
        )  # fmt: skip

    def test_is_zero_when_all_experts_are_used_alike(self) -> None:
        """Each frame may still choose one expert: it is the use over all frames that counts."""
        assert balance_loss(torch.eye(4)[None], torch.ones(1, 4, dtype=torch.bool)).item() == pytest.approx(
            0, abs=1e-6
        )

    def test_takes_the_size_of_negative_gates(self) -> None:
        """Gates against a vector use it as much as gates along it; no gate at all is no number to fear."""
        signs = torch.tensor([1.0, -1.0, 1.0, -1.0])
        mask = torch.ones(1, 4, dtype=torch.bool)

        assert balance_loss(signs.expand(1, 4, 4), mask).item() == pytest.approx(0, abs=1e-6)
        lone = balance_loss(-torch.eye(4)[:1].expand(1, 4, 4), mask).item()
        assert lone == pytest.approx(math.log(4), abs=1e-5)
        assert math.isfinite(balance_loss(torch.zeros(1, 4, 4), mask).item())

    def test_is_the_weighted_mean_over_layers_once(self, encoder: TinyEncoder, features: Padded) -> None:
        """`penalty` gives each forward pass's loss once, and nothing where nothing is to be learned."""
        adapter = steering(encoder, balance=0.3)
        seen = []

        def tap(layer: int, frames: Padded) -> Padded:
            seen.append(balance_loss(adapter.router(frames.values, layer), frames.mask))
            return adapter.tap(layer, frames)

        encoder(features, tap)
        penalty = adapter.penalty()

        assert penalty is not None
        torch.testing.assert_close(penalty, 0.3 * torch.stack(seen).mean())
        assert adapter.penalty() is None
        with torch.no_grad():
            encoder(features, adapter.tap)
        assert adapter.penalty() is None
        plain = steering(encoder)
        encoder(features, plain.tap)
        assert plain.penalty() is None


class TestStatistics:
    """What the gates do, over valid frames only."""

    def test_equal_a_naive_count(self, encoder: TinyEncoder, features: Padded) -> None:
        """Load, entropies, effective number of experts and size of the shift, frame by frame."""
        adapter = steering(encoder)
        taken: list[list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]] = [[], [], []]

        def tap(layer: int, frames: Padded) -> Padded:
            steered = adapter.tap(layer, frames)
            gates = adapter.router(frames.values, layer)
            for row, length in enumerate(frames.lengths.tolist()):
                for t in range(length):
                    u = frames.values[row, t]
                    taken[layer].append((gates[row, t], steered.values[row, t] - u, u))
            return steered

        adapter.watch()
        with torch.no_grad():
            encoder(features, tap)
            encoder(features, tap)
        records = adapter.statistics()

        assert [record["layer"] for record in records] == [0, 1, 2]
        for layer, record in enumerate(records):
            gates = torch.stack([g for g, _, _ in taken[layer]]).double()
            load = gates.mean(0)
            usage_entropy = -(load * load.log()).sum().item()
            assert record["load"] == pytest.approx(load.tolist(), abs=1e-5)
            assert record["entropy"] == pytest.approx(-(gates * gates.log()).sum(-1).mean().item(), abs=1e-5)
            assert record["usage_entropy"] == pytest.approx(usage_entropy, abs=1e-5)
            assert record["effective"] == pytest.approx(math.exp(usage_entropy), abs=1e-4)
            relative = [(shift.norm() / u.norm()).item() for _, shift, u in taken[layer]]
            assert record["relative_norm"] == pytest.approx(sum(relative) / len(relative), abs=1e-4)
            assert record["scale"] == pytest.approx(0.5)

    def test_dead_experts_are_counted(self) -> None:
        """An expert below a twentieth of its fair share is dead."""
        statistics = GateStatistics(1, 4)
        gates = torch.tensor([0.49, 0.49, 0.019, 0.001]).expand(1, 10, 4)
        statistics.add(0, Padded(torch.ones(1, 10, 2), torch.tensor([10])), gates, torch.ones(1, 10, 2))

        assert statistics.record(0)["dead"] == 1

    def test_of_negative_gates_are_of_their_size(self) -> None:
        """An expert's share of a frame is |g| / Σ|g|: the same figures as for gates without their signs."""
        gates = torch.randn(1, 10, 4, generator=torch.Generator().manual_seed(1))
        frames = Padded(torch.ones(1, 10, 2), torch.tensor([10]))
        records = []
        for given_gates in (gates, gates.abs(), torch.zeros_like(gates)):
            statistics = GateStatistics(1, 4)
            statistics.add(0, frames, given_gates, torch.ones(1, 10, 2))
            records.append(statistics.record(0))
        shares = (gates.abs() / gates.abs().sum(-1, keepdim=True))[0].double()

        assert records[0] == records[1]
        assert records[0]["entropy"] == pytest.approx(
            -(shares * shares.log()).sum(-1).mean().item(), abs=1e-5
        )
        assert sum(records[0]["load"]) == pytest.approx(1.0, abs=1e-5)
        assert 0.0 < records[0]["usage_entropy"] <= math.log(4)
        assert all(math.isfinite(records[2][name]) for name in ("entropy", "usage_entropy", "effective"))

    def test_stop_with_the_record(self, encoder: TinyEncoder, features: Padded) -> None:
        """Without `watch` nothing is collected; `statistics` ends the watch."""
        adapter = steering(encoder)
        encoder(features, adapter.tap)
        assert adapter.statistics() == []
        adapter.watch()
        encoder(features, adapter.tap)
        assert len(adapter.statistics()) == 3
        assert adapter.statistics() == []
