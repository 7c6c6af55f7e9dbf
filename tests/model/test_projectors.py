"""Linear and two-layer projectors: pooling, then the map; the ridge start is the least-squares solution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from steermoe_core.data.layout import ids
from steermoe_core.data.padded import Padded
from steermoe_core.errors import UsageError
from steermoe_core.model.config import IdentityConfig, LinearConfig, MlpConfig, PoolConfig
from steermoe_core.model.pooling import pool
from steermoe_core.model.projectors import IdentityProjector, LinearProjector, MlpProjector, Projector
from steermoe_core.model.ridge import Ridge
from tests.parts import decoder

if TYPE_CHECKING:
    from steermoe_core.model.decoder import CausalLM

WIDTH = 6
POOLS = [PoolConfig(kind="avg", kernel=2), PoolConfig(kind="stack", kernel=3), PoolConfig(kind="none")]


@pytest.fixture(scope="module")
def language_model(decoder_folder: str) -> CausalLM:
    """Return the tiny language model."""
    return decoder(decoder_folder)


def random_frames(*lengths: int, seed: int = 0) -> Padded:
    """Return frames of a few clips."""
    generator = torch.Generator().manual_seed(seed)
    return Padded.stack([torch.randn(length, WIDTH, generator=generator) for length in lengths])


@pytest.mark.parametrize("config", POOLS)
@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_audio_tokens_are_mapped_pooled_frames(
    language_model: CausalLM, config: PoolConfig, kind: str
) -> None:
    """Each pooled frame goes through the map; the largest number of tokens is known beforehand."""
    projector: Projector = (
        LinearProjector(LinearConfig(pool=config), WIDTH, language_model)
        if kind == "linear"
        else MlpProjector(MlpConfig(pool=config, hidden=5), WIDTH, language_model)
    )
    frames = random_frames(7, 3)

    audio, loss = projector(frames, ids([[1], [2]]))

    assert loss is None
    assert projector.tokens(7) == audio.values.shape[1]
    assert audio.lengths.tolist() == [projector.tokens(7), projector.tokens(3)]
    expected = projector.map(pool(config, frames).values)
    torch.testing.assert_close(audio.values, expected)
    assert audio.values.shape[2] == language_model.width


def test_mlp_is_two_maps_with_a_gelu_between(language_model: CausalLM) -> None:
    """Its inner width is the language model's unless the settings say otherwise."""
    projector = MlpProjector(MlpConfig(pool=PoolConfig(kind="none")), WIDTH, language_model)
    frames = random_frames(4)
    first, _, second = projector.map

    expected = (
        torch.nn.functional.gelu(frames.values @ first.weight.T + first.bias) @ second.weight.T + second.bias
    )

    torch.testing.assert_close(projector(frames)[0].values, expected)
    assert first.out_features == language_model.width
    assert MlpProjector(MlpConfig(hidden=9), WIDTH, language_model).map[0].out_features == 9


def test_nothing_of_the_decoder_is_trained(language_model: CausalLM) -> None:
    """The projector's parameters are the map's; the embeddings it starts from are not among them."""
    projector = LinearProjector(LinearConfig(start="ridge"), WIDTH, language_model)

    assert {name for name, _ in projector.named_parameters()} == {"map.weight", "map.bias"}
    assert {id(p) for p in projector.groups()["projector"]} == {id(p) for p in projector.parameters()}


class TestRidge:
    """The start solved in closed form under a uniform alignment."""

    frames = (random_frames(9, 4, seed=1), random_frames(6, 1, seed=2))
    answers = (ids([[2, 3, 4], [5, 6]]), ids([[7, 8, 9, 2, 3, 4, 5], [6]]))

    def pairs(self, language_model: CausalLM) -> tuple[np.ndarray, np.ndarray]:
        """Return frames with a column of ones (N,D+1) and the embeddings they are aligned with (N,H)."""
        inputs, targets = [], []
        for frames, answer in zip(self.frames, self.answers, strict=True):
            for clip, tokens in zip(frames.rows(), answer.rows(), strict=True):
                for place, frame in enumerate(clip):
                    token = tokens[int(place * len(tokens) / len(clip))]
                    inputs.append([*frame.tolist(), 1.0])
                    targets.append(language_model.embeddings[token].tolist())
        return np.array(inputs), np.array(targets)

    def solve(self, language_model: CausalLM, strength: float) -> torch.Tensor:
        """Return the solution (D+1,H) that the module under test finds."""
        ridge = Ridge(strength)
        for frames, answer in zip(self.frames, self.answers, strict=True):
            ridge.add(frames, answer, language_model.embed)
        linear = torch.nn.Linear(WIDTH, language_model.width)
        ridge.solve_into(linear)
        return torch.cat([linear.weight.T, linear.bias[None]]).detach()

    @staticmethod
    def spread(inputs: np.ndarray, targets: np.ndarray, solution: np.ndarray) -> np.ndarray:
        """Return a solution (D+1,H) whose outputs have the targets' mean, and their spread about it."""
        said = inputs @ solution
        weight = (
            solution[:-1] * np.linalg.norm(targets - targets.mean(0)) / np.linalg.norm(said - said.mean(0))
        )
        return np.vstack([weight, targets.mean(0) - inputs[:, :-1].mean(0) @ weight])

    def test_equals_least_squares(self, language_model: CausalLM) -> None:
        """Without a penalty it is numpy's least-squares solution, but for one factor about the mean."""
        inputs, targets = self.pairs(language_model)
        expected = self.spread(inputs, targets, np.linalg.lstsq(inputs, targets, rcond=None)[0])

        np.testing.assert_allclose(self.solve(language_model, 0.0).numpy(), expected, rtol=1e-4, atol=1e-5)

    def test_equals_ridge_regression(self, language_model: CausalLM) -> None:
        """With its usual penalty, relative to the mean diagonal, it solves the penalised equations."""
        inputs, targets = self.pairs(language_model)
        gram = inputs.T @ inputs
        penalty = 1e-2 * np.trace(gram) / len(gram)
        solved = np.linalg.solve(gram + penalty * np.eye(len(gram)), inputs.T @ targets)
        expected = self.spread(inputs, targets, solved)

        np.testing.assert_allclose(self.solve(language_model, 1e-2).numpy(), expected, rtol=1e-4, atol=1e-5)

    def test_outputs_spread_like_the_embeddings(self, language_model: CausalLM) -> None:
        """The audio tokens have the mean of the embeddings they are aligned with, and spread as widely."""
        config = LinearConfig(pool=PoolConfig(kind="none"), start="ridge")
        projector = LinearProjector(config, WIDTH, language_model)
        projector.begin([], zip(self.frames, self.answers, strict=True))
        _, targets = self.pairs(language_model)

        said = torch.cat([row for frames in self.frames for row in projector(frames)[0].rows()])

        np.testing.assert_allclose(said.mean(0).detach().numpy(), targets.mean(0), atol=1e-5)
        deviations = said - said.mean(0), targets - targets.mean(0)
        assert deviations[0].norm().item() == pytest.approx(np.linalg.norm(deviations[1]), rel=1e-4)

    def test_answers_that_are_mostly_alike_leave_the_frames_a_say(self, language_model: CausalLM) -> None:
        """Two clips in three are answered by one word whatever is heard; the third by what is heard."""
        heard = torch.eye(WIDTH)[torch.tensor([0, 0, 0, 1, 1, 1])][:, None]  # (6,1,D): two kinds of clip
        answers = ids([[2], [2], [3], [2], [2], [4]])
        linear = torch.nn.Linear(WIDTH, language_model.width)
        ridge = Ridge(1e-6)
        ridge.add(Padded(heard, torch.ones(6, dtype=torch.long)), answers, language_model.embed)
        ridge.solve_into(linear)
        targets = language_model.embeddings[answers.values[:, 0]]

        apart = (linear(heard[0]) - linear(heard[-1])).norm().item()

        assert apart == pytest.approx(2 * ((targets - targets.mean(0)).norm() / 6**0.5).item(), rel=1e-2)

    def test_random_start_asks_for_no_data(self, language_model: CausalLM) -> None:
        """Neither batches nor answers are looked at, and the map stays as it was drawn."""
        projector = LinearProjector(LinearConfig(), WIDTH, language_model)
        before = projector.map.weight.clone()
        projector.begin(iter([]), iter([]))

        assert projector.begin_batches == 0
        assert torch.equal(projector.map.weight, before)

    def test_clips_without_tokens_are_passed_over(self, language_model: CausalLM) -> None:
        """An empty answer or an empty clip teaches nothing, and nothing at all leaves the map alone."""
        ridge = Ridge()
        ridge.add(random_frames(3, 0), ids([[], [4]]), language_model.embed)
        linear = torch.nn.Linear(WIDTH, language_model.width)
        before = linear.weight.clone()
        ridge.solve_into(linear)

        assert torch.equal(linear.weight, before)


class TestIdentity:
    """Frames as audio tokens."""

    def test_is_pooling_alone(self, language_model: CausalLM) -> None:
        """Nothing is trained; lengths follow the pooling."""
        width = language_model.width
        frames = Padded.stack([torch.randn(7, width), torch.randn(4, width)])

        for config in (IdentityConfig(), IdentityConfig(pool=PoolConfig(kernel=2))):
            projector = IdentityProjector(config, width, language_model)
            audio, loss = projector(frames)

            assert loss is None
            assert torch.equal(audio.values, pool(config.pool, frames).values)
            assert audio.lengths.tolist() == [projector.tokens(7), projector.tokens(4)]
            assert projector.groups() == {"projector": []}
        assert IdentityConfig().pool.kind == "none"

    def test_counts_the_width_after_stacking(self, language_model: CausalLM) -> None:
        """Four frames of 8 side by side are as wide as the language model."""
        config = IdentityConfig(pool=PoolConfig(kind="stack", kernel=4))
        frames = Padded.stack([torch.randn(8, 8)])

        audio, _ = IdentityProjector(config, 8, language_model)(frames)

        assert audio.values.shape == (1, 2, language_model.width)

    def test_names_both_widths_where_they_differ(self, language_model: CausalLM) -> None:
        """A user learns what to use instead."""
        with pytest.raises(
            UsageError, match=r"width 6, but the language model reads vectors of width 32; use .*linear"
        ):
            IdentityProjector(IdentityConfig(), WIDTH, language_model)


class TestUntrained:
    """`trained = false`: a linear map that stays as it starts."""

    def test_has_no_parameters_but_a_state(self, language_model: CausalLM) -> None:
        """So that it is saved, and no optimizer ever sees it; gradients pass through it to the frames."""
        torch.manual_seed(0)
        fixed = LinearProjector(LinearConfig(trained=False), WIDTH, language_model)
        torch.manual_seed(0)
        plain = LinearProjector(LinearConfig(), WIDTH, language_model)
        values = torch.randn(1, 8, WIDTH, requires_grad=True)
        frames = Padded(values, torch.tensor([8]))

        assert list(fixed.parameters()) == []
        assert fixed.groups() == {"projector": []}
        assert {name: tuple(t.shape) for name, t in fixed.state_dict().items()} == {
            name: tuple(t.shape) for name, t in plain.state_dict().items()
        }
        torch.testing.assert_close(fixed(frames)[0].values, plain(frames)[0].values)
        fixed(frames)[0].values.sum().backward()
        assert values.grad is not None
        assert values.grad.any()

    def test_can_start_from_ridge(self, language_model: CausalLM) -> None:
        """The solution is written into it as into a trained one."""
        pairs = [(random_frames(9, 4), ids([[2, 3, 4], [5, 6]]))]
        solved = []
        for trained in (True, False):
            config = LinearConfig(pool=PoolConfig(kind="none"), start="ridge", trained=trained)
            projector = LinearProjector(config, WIDTH, language_model)
            projector.begin([], pairs)
            solved.append(projector.map.weight)

        assert torch.equal(*solved)


def test_a_subclass_with_another_forward_does_not_begin_with_pooling(language_model: CausalLM) -> None:
    """What it inherits may be untrue of it, and frames would be pooled twice."""

    class Squared(LinearProjector):
        def forward(self, frames, answer=None):
            return super().forward(Padded(frames.values.square(), frames.lengths), answer)

    class Declared(Squared):
        pooling = PoolConfig(kernel=2)

    config = LinearConfig(pool=PoolConfig(kernel=2))
    assert LinearProjector(config, WIDTH, language_model).begins_with == config.pool
    assert Squared(config, WIDTH, language_model).begins_with is None
    assert Declared(config, WIDTH, language_model).begins_with == config.pool
    assert LinearProjector(LinearConfig(pool=POOLS[2]), WIDTH, language_model).begins_with is None
