"""Soft-CTC: runs of one best class become one token in the embeddings' convex hull, blanks none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from steermoe_core.data.layout import ids
from steermoe_core.data.padded import Padded
from steermoe_core.errors import DataError
from steermoe_core.model.config import PoolConfig
from steermoe_core.model.generate import generate
from steermoe_core.model.pooling import pool
from steermoe_core.train.checkpoint import load_trained, save_trained
from tests.model.soft_ctc import CLOSE, frames_of, projector_of
from tests.parts import batch, decoder, joined

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.model.decoder import CausalLM
    from steermoe_core.model.soft_ctc import SoftCtcProjector


def naive(projector: SoftCtcProjector, table: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    """Return the audio tokens (A,H) of one clip (T,D), pooled frame by pooled frame."""
    row = pool(projector.config.pool, Padded.stack([row])).values[0]
    classes = projector.vocabulary.nonzero().flatten().tolist()
    tokens: list[list[torch.Tensor]] = []
    before = None
    for frame in row:
        point = projector.map(frame)
        candidates = [projector.blank, *(table[c] for c in classes)]
        logits = torch.stack(
            [projector.log_scale.exp() * F.cosine_similarity(point, c, dim=0) for c in candidates]
        )
        logits[0] += projector.blank_bias
        best = int(logits.argmax())
        if best != 0:
            weights = (projector.config.sharpness * logits[1:]).softmax(0)
            mixture = torch.stack([w * table[c] for w, c in zip(weights, classes, strict=True)]).sum(0)
            tokens = [*tokens[:-1], [*tokens[-1], mixture]] if best == before else [*tokens, [mixture]]
        before = best
    return torch.stack([torch.stack(run).mean(0) for run in tokens]) if tokens else table[:0]


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=4),
    st.integers(0, 10_000),
    st.sampled_from([0.5, 1.0, 3.0]),
)
@settings(deadline=None, max_examples=40)
def test_compression_equals_a_loop_over_frames(
    language_model: CausalLM, lengths: list[int], seed: int, sharpness: float
) -> None:
    """Blanks are dropped and end a run; a run is the mean of its frames' mixtures; padding says nothing."""
    pooling = PoolConfig(kind="avg", kernel=1 + seed % 2)
    projector = projector_of(
        language_model, seed, sharpness=sharpness, pool=pooling, blank_bias=seed % 3 - 1.0
    )
    frames = frames_of(lengths, seed)

    with torch.no_grad():
        audio, loss = projector(frames)
        expected = [naive(projector, language_model.embeddings, row) for row in frames.rows()]

    assert loss is None
    assert audio.lengths.tolist() == [len(row) for row in expected]
    assert all(len(row) <= projector.tokens(length) for row, length in zip(expected, lengths, strict=False))
    for found, wanted in zip(audio.rows(), expected, strict=True):
        torch.testing.assert_close(found, wanted, **CLOSE)


def test_tokens_lie_in_the_convex_hull(language_model: CausalLM) -> None:
    """Each token is a mixture of the vocabulary's embeddings: weights not negative, sum 1."""
    projector = projector_of(language_model)
    audio, _ = projector(frames_of([12, 12], 0))
    table = language_model.embeddings[projector.vocabulary]  # (C,H), its rows are independent

    weights = torch.linalg.lstsq(table.T, torch.cat(audio.rows()).T).solution  # (C,N)

    assert weights.shape[1] > 0
    assert (weights > -1e-5).all()
    torch.testing.assert_close(weights.sum(0), torch.ones(weights.shape[1]), **CLOSE)


def test_sharp_posteriors_say_one_embedding(language_model: CausalLM) -> None:
    """At a high sharpness an audio token is the embedding of its best class."""
    projector = projector_of(language_model, sharpness=1e4)
    audio, _ = projector(frames_of([12], 1))
    distances = torch.cdist(torch.cat(audio.rows()), language_model.embeddings[[2, 3, 5, 8]])

    assert (distances.amin(1) < 1e-3).all()


class TestVocabulary:
    """What there is to choose from."""

    def test_is_the_training_answers(self, language_model: CausalLM) -> None:
        """`begin` keeps the tokens that occur in an answer."""
        assert projector_of(language_model).vocabulary.nonzero().flatten().tolist() == [2, 3, 5, 8]

    def test_may_be_everything(self, language_model: CausalLM) -> None:
        """`vocabulary = "all"` keeps the whole table."""
        assert projector_of(language_model, vocabulary="all").vocabulary.all()

    def test_may_be_empty(self, language_model: CausalLM) -> None:
        """Answers without a token leave the blank alone: nothing is said and the loss is a number."""
        projector = projector_of(language_model)
        projector.begin(iter([[], []]), iter([]))
        audio, loss = projector(frames_of([4], 0), ids([[], []]))

        assert audio.lengths.tolist() == [0, 0]
        assert loss.isfinite()

    @pytest.mark.parametrize("negatives", [0, 1])
    def test_no_answer_is_a_blank(self, language_model: CausalLM, negatives: int) -> None:
        """A token that has no class cannot be learned as class 0, whatever the others of its batch are."""
        projector = projector_of(language_model, negatives=negatives)
        answers = ids([[2, 3], [4, 5, 9]])

        with pytest.raises(DataError, match=r"no class for two, seven, which training answers hold; give "):
            projector.loss(frames_of([9], 0), answers)
        with pytest.raises(DataError, match="no class"):
            projector(frames_of([9], 0), answers)
        assert projector.loss(frames_of([9], 0), Padded(answers.values, torch.tensor([2, 0]))) > 0

    def test_grows_from_an_adapter(self, language_model: CausalLM) -> None:
        """New answers add their tokens; trained tensors stay, and the old tokens keep their logits."""
        grown, before = projector_of(language_model), projector_of(language_model)
        frames = frames_of([6, 9], 1).values

        added = grown.extend(iter([[4, 2], [9], []]))

        assert added == "the adapter's vocabulary of 4 grows by 2: two, seven"
        assert grown.extend(iter([[2, 9]])) is None
        assert grown.vocabulary.nonzero().flatten().tolist() == [2, 3, 4, 5, 8, 9]
        for (name, one), two in zip(grown.named_parameters(), before.parameters(), strict=True):
            assert torch.equal(one, two), name
        rows = [language_model.embed(p.vocabulary.nonzero().squeeze(-1)) for p in (grown, before)]
        new, old = (p._logits(frames, r) for p, r in zip((grown, before), rows, strict=True))
        torch.testing.assert_close(new[..., [0, 1, 2, 4, 5]], old, **CLOSE)
        assert grown.loss(frames_of([9], 0), ids([[4, 3], [9]])) > 0

    def test_grows_to_everything(self, language_model: CausalLM) -> None:
        """`vocabulary = "all"` needs no answers, and names only the first of so many."""
        projector = projector_of(language_model)
        everything = projector_of(language_model, vocabulary="all")
        everything.load_state_dict(projector.state_dict())

        added = everything.extend(iter([]))

        assert everything.vocabulary.all()
        assert added.startswith("the adapter's vocabulary of 4 grows by 20: ")
        assert added.endswith(", …")

    def test_survives_a_checkpoint(self, decoder_folder: str, tmp_path: Path) -> None:
        """A new model that reads the trained tensors gives the same audio tokens."""
        first = joined(decoder_folder, projector=projector_of(decoder(decoder_folder), 1, width=12))
        second = joined(
            decoder_folder, projector=projector_of(decoder(decoder_folder), 2, width=12, vocabulary="all")
        )
        second.projector.vocabulary.fill_(value=True)
        save_trained(first, tmp_path / "trained.safetensors")

        load_trained(second, tmp_path / "trained.safetensors")

        features = batch(first.encoder).features
        assert second.projector.vocabulary.nonzero().flatten().tolist() == [2, 3, 5, 8]
        for one, two in zip(first.audio(features).rows(), second.audio(features).rows(), strict=True):
            torch.testing.assert_close(one, two)


@pytest.mark.parametrize("after", [(), (12, 13)])
def test_a_clip_of_blanks_is_answered_from_the_text_alone(
    decoder_folder: str, after: tuple[int, ...]
) -> None:
    """No audio token at all, with or without a prompt, still gives a finite loss and an answer."""
    model = joined(decoder_folder, projector=projector_of(decoder(decoder_folder), width=12))
    torch.nn.init.zeros_(model.projector.map.weight)
    with torch.no_grad():
        model.projector.map.bias.copy_(model.projector.blank)
    given_batch = batch(model.encoder, after=(after,), answers=((2, 3), (5,), (8,)))

    assert model.audio(given_batch.features).lengths.tolist() == [0, 0, 0]
    assert model(given_batch, 10).isfinite()
    answers = generate(model, given_batch, [4, 4, 4])
    assert answers == generate(model, given_batch, [4, 4, 4], audio=model.without_audio(given_batch))
    assert len({tuple(answer.ids) for answer in answers}) == 1


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_alone_its_loss_counts_in_full(decoder_folder: str, weight: float) -> None:
    """The weight holds beside the language model's loss; in the first phase CTC is all there is."""
    model = joined(decoder_folder, projector=projector_of(decoder(decoder_folder), width=12, weight=weight))
    given_batch = batch(model.encoder, answers=((2, 3), (5,), (8,)))
    spoken = Padded(given_batch.answer.values, given_batch.answer.lengths - 1)
    audio, ctc = model.projector(model.frames(given_batch.features), spoken)

    torch.testing.assert_close(model(given_batch, 10, language_model=False), ctc / 10, **CLOSE)
    both = (weight * ctc + model.answer_losses(given_batch, audio).sum()) / 10
    torch.testing.assert_close(model(given_batch, 10), both, **CLOSE)


def test_works_under_autocast(language_model: CausalLM) -> None:
    """In bf16 the tokens are those of fp32 within its precision."""
    projector = projector_of(language_model)
    frames = frames_of([6], 0)
    plain, _ = projector(frames, ids([[2], [3]]))
    with torch.autocast("cpu", torch.bfloat16):
        mixed, loss = projector(frames, ids([[2], [3]]))

    assert loss.isfinite()
    assert mixed.lengths.tolist() == plain.lengths.tolist()
    torch.testing.assert_close(mixed.values.float(), plain.values, rtol=0.1, atol=0.1)


def test_mixes_embeddings_as_the_model_reads_them(
    language_model: CausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that scales the rows of its table, as Gemma does, gets scaled audio tokens."""
    projector, frames = projector_of(language_model, blank_bias=-9.0), frames_of([6, 4], seed=1)
    plain = projector(frames)[0]
    embed = type(language_model).embed
    monkeypatch.setattr(type(language_model), "embed", lambda self, ids: 24.0 * embed(self, ids))

    scaled = projector(frames)[0]

    assert len(plain.values[0])
    torch.testing.assert_close(scaled.values, 24.0 * plain.values, **CLOSE)


def test_where_each_token_is_heard(language_model: CausalLM) -> None:
    """The frames of each run, as many runs as tokens; the same for a row alone."""
    projector = projector_of(language_model, seed=1)
    frames = frames_of([9, 30], seed=5)
    audio = projector(frames)[0]

    found = projector.spans(frames, audio)

    assert [len(row) for row in found] == audio.host_lengths.tolist()
    assert len(found[1]) > 1
    for row, length in zip(found, frames.host_lengths.tolist(), strict=True):
        edges = [edge for span in row for edge in span]
        assert edges == sorted(edges)
        assert all(0 <= start < end <= projector.tokens(length) for start, end in row)
    alone = Padded.stack([frames.rows()[0]])
    assert projector.spans(alone, projector(alone)[0]) == found[:1]
