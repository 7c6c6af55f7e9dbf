"""The CTC loss of a soft-CTC projector, its sampled negatives, and what alignments are computed from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from steermoe_core.data.layout import ids
from steermoe_core.data.padded import Padded
from tests.model.soft_ctc import CLOSE, WIDTH, frames_of, projector_of

if TYPE_CHECKING:
    from steermoe_core.model.decoder import CausalLM
    from steermoe_core.model.soft_ctc import SoftCtcProjector


def clip_loss(
    projector: SoftCtcProjector, table: torch.Tensor, row: torch.Tensor, answer: list[int]
) -> torch.Tensor:
    """Return -log of the summed probability of all paths that spell the answer, by enumeration."""
    classes = projector.vocabulary.nonzero().flatten().tolist()
    directions = F.normalize(torch.cat([projector.blank[None], table[classes]]), dim=-1)
    scores = projector.log_scale.exp() * F.normalize(projector.map(row), dim=-1) @ directions.T
    scores[:, 0] += projector.blank_bias
    probabilities = scores.softmax(-1)
    wanted = [classes.index(token) + 1 for token in answer]
    total = torch.zeros(())
    for path in torch.cartesian_prod(*[torch.arange(len(classes) + 1)] * len(row)).view(-1, len(row)):
        runs = [int(c) for place, c in enumerate(path) if place == 0 or c != path[place - 1]]
        if [c for c in runs if c] == wanted:
            total = total + probabilities[torch.arange(len(row)), path].prod()
    return -total.log()


class TestLoss:
    """The CTC loss against the transcript."""

    def test_equals_the_sum_over_all_paths(self, language_model: CausalLM) -> None:
        """The loss of a batch is the sum of its clips' losses, each by enumeration of every path."""
        projector = projector_of(language_model, scale=2.0, blank_bias=0.5)
        frames = frames_of([4, 3, 5], 2)
        answers = [[2, 3], [8], [5, 5], []]

        with torch.no_grad():
            _, loss = projector(frames, ids(answers))
            table = language_model.embeddings
            alone = [clip_loss(projector, table, r, a) for r, a in zip(frames.rows(), answers, strict=True)]

        torch.testing.assert_close(loss, torch.stack(alone).sum(), **CLOSE)

    def test_does_not_depend_on_the_batch(self, language_model: CausalLM) -> None:
        """Batch-mates, their order and more padding change neither the loss nor its gradients."""
        frames, answers = frames_of([9, 6, 11], 3), [[2, 3], [8], [5, 2, 8], [3]]
        alone = projector_of(language_model)
        total = torch.zeros(())
        for row, answer in zip(frames.rows(), answers, strict=True):
            total = total + alone(Padded.stack([row]), ids([answer]))[1]
        total.backward()
        together = projector_of(language_model)
        longer = Padded(F.pad(frames.values, (0, 0, 0, 5), value=4.0).flip(0), frames.lengths.flip(0))
        loss = together(longer, ids(answers[::-1]))[1]
        loss.backward()

        torch.testing.assert_close(loss, total, **CLOSE)
        for (name, one), two in zip(alone.named_parameters(), together.parameters(), strict=True):
            torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-5, msg=name)

    def test_an_answer_too_long_for_its_clip_counts_as_zero(self, language_model: CausalLM) -> None:
        """Two frames cannot spell three tokens; the loss stays a number."""
        projector = projector_of(language_model)
        _, loss = projector(Padded.stack([torch.randn(2, WIDTH)]), ids([[2, 3, 5]]))
        loss.backward()

        assert loss.item() == 0
        assert all(p.grad is None or p.grad.isfinite().all() for p in projector.parameters())

    def test_reaches_every_trained_tensor(self, language_model: CausalLM) -> None:
        """Map, blank, its bias and the scale learn from it; the frozen embeddings do not."""
        projector = projector_of(language_model)
        projector(frames_of([9], 0), ids([[2, 3], [5]]))[1].backward()

        assert all(parameter.grad.any() for parameter in projector.parameters())
        assert {name for name, _ in projector.named_parameters()} == {
            "map.weight",
            "map.bias",
            "blank",
            "blank_bias",
            "log_scale",
        }


class TestNegatives:
    """A sample of the tokens that nobody said stands for all of them."""

    def test_as_many_as_there_are_is_the_full_loss(self, language_model: CausalLM) -> None:
        """Nothing is left out, so nothing is estimated."""
        frames, answers = frames_of([9], 0), ids([[2, 3], [5]])
        full, sampled = (projector_of(language_model, vocabulary="all", negatives=n) for n in (0, 23))

        assert torch.equal(full(frames, answers)[1], sampled(frames, answers)[1])

    def test_estimate_the_sum_over_all(self, language_model: CausalLM) -> None:
        """The candidates' scores, raised by what they stand for, sum to those of all tokens on average."""
        projector = projector_of(language_model, vocabulary="all", negatives=6)
        scores = torch.rand(len(language_model.embeddings))
        found = []
        for _ in range(3000):
            chosen, raised = projector._candidates(ids([[2, 3], [5, 5]]))
            assert chosen.sum() == 3 + 6
            assert chosen[[2, 3, 5]].all()
            found.append((scores[chosen] * raised.exp()).sum())

        assert torch.stack(found).mean().item() == pytest.approx(scores.sum().item(), rel=0.02)

    def test_do_not_change_what_is_read(self, language_model: CausalLM) -> None:
        """Audio tokens are chosen from the whole vocabulary."""
        frames = frames_of([12], 1)
        full, sampled = (projector_of(language_model, vocabulary="all", negatives=n) for n in (0, 1))

        assert torch.equal(full(frames)[0].values, sampled(frames, ids([[2], [3]]))[0].values)


class TestEmissions:
    """What an alignment of a text is computed from."""

    def test_are_those_of_the_loss(self, language_model: CausalLM) -> None:
        """The CTC loss of them is the projector's own."""
        projector, frames = projector_of(language_model), frames_of([9, 7, 8], seed=3)
        answer = ids([[2, 3, 5], [8], [5, 2], []])

        with torch.no_grad():
            found = projector.emissions(frames, answer)
            losses = [
                F.ctc_loss(
                    row[:, None], torch.arange(1, length + 1)[None], [len(row)], [length], reduction="sum"
                )
                for row, length in zip(found.rows(), answer.host_lengths.tolist(), strict=True)
            ]
            expected = projector.loss(frames, answer)

        assert torch.stack(losses).sum().item() == pytest.approx(expected.item(), rel=1e-5)

    def test_a_token_without_a_class(self, language_model: CausalLM) -> None:
        """Counts as the likeliest token of each frame; nothing else changes."""
        projector, frames = projector_of(language_model), frames_of([9], seed=4)

        with torch.no_grad():
            known = projector.emissions(frames, ids([[2, 3, 5, 8], [2]])).values
            found = projector.emissions(frames, ids([[2, 7, 5], [2]])).values

        assert torch.equal(found[:, :, [0, 1, 3]], known[:, :, [0, 1, 3]])
        assert torch.equal(found[0, :, 2], known[0, :, 1:].amax(-1))
