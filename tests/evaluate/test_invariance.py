"""Whether clips depend on their batch is measured: nothing where they do not, much where they do."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import torch

from steermoe_core.config.experiment import EvaluateConfig
from steermoe_core.data.collators import AsrCollator
from steermoe_core.data.config import AsrConfig, FolderConfig
from steermoe_core.data.sources.folder import read_folder
from steermoe_core.evaluate.evaluation import Evaluator
from steermoe_core.evaluate.invariance import EXACT, Invariance, in_fp64, invariance, mixed, rounding
from steermoe_core.model.config import SoftCtcConfig, SteeringConfig
from steermoe_core.model.generate import Answer, generate
from steermoe_core.model.nbest import Proposal
from steermoe_core.model.soft_ctc import SoftCtcProjector
from steermoe_core.model.steering import Steering
from steermoe_core.run.folder.adapter import identity
from tests.misbehaving import Crowd, LeakyQFormer
from tests.parts import QFormer, SigmoidRouter, TinyConfig, TinyEncoder, decoder, joined
from tests.tiny import write_folder

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.data.example import Example
    from steermoe_core.data.padded import Padded
    from steermoe_core.model.joined import Joined


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    """Return ten clips that grow longer."""
    return list(read_folder(FolderConfig(path=write_folder(tmp_path / "clips"))))


def test_clips_of_different_lengths_are_chosen(examples: list[Example]) -> None:
    """Up to four, the longest in the middle; each once, however few there are."""
    seconds = [example.seconds for example in mixed(examples)]

    assert len(set(seconds)) == 4
    assert seconds[0] == min(seconds)
    assert max(seconds) in seconds[1:3]
    assert [len(mixed(examples[:count])) for count in (0, 1, 2, 3)] == [0, 1, 2, 3]


def measured(model: Joined, examples: list[Example], **settings: Any) -> Invariance:
    """Return what changes for four clips."""
    collator = AsrCollator(AsrConfig(), model.decoder.tokenizer, model.encoder.features)
    config = EvaluateConfig(max_new_tokens=6, **settings)
    return invariance(Evaluator(model, collator, config, metrics=[], seed=0), mixed(examples))


def test_the_order_of_sums_is_all_that_a_batch_may_change(
    decoder_folder: str, examples: list[Example]
) -> None:
    """Exact, and so within every precision's rounding."""
    found = measured(joined(decoder_folder).eval(), examples)

    assert len(found.clips) == 4
    assert found.seconds[0] < found.seconds[1]
    assert max(found.loss, found.logits) < EXACT
    assert (found.texts, found.ties) == ([], [])
    assert found.exact
    assert found.within(EXACT)


def test_an_encoder_that_hears_its_batch_shows(decoder_folder: str, examples: list[Example]) -> None:
    """Loss and logits."""
    found = measured(joined(decoder_folder, encoder=Crowd(TinyConfig())).eval(), examples)

    assert min(found.loss, found.logits) > 1e-4
    assert not found.exact
    assert not found.within(1e-4)


@pytest.mark.parametrize(
    ("figures", "exact", "within"),
    [
        ({}, True, True),
        ({"logits": 0.9e-5, "loss": 0.9e-5}, True, True),
        ({"logits": 1.1e-5}, False, True),
        ({"logits": 0.09, "loss": 0.9}, False, True),
        ({"logits": 0.11}, False, False),
        ({"loss": 1.1}, False, False),
        ({"texts": ["a"]}, False, False),
        ({"texts": ["a"], "ties": ["a"]}, True, True),
        ({"texts": ["a", "b"], "ties": ["a"]}, False, False),
        ({"logits": math.nan}, False, False),
        ({"loss": math.nan}, False, False),
    ],
)
def test_verdicts(figures: dict[str, Any], exact: bool, within: bool) -> None:  # noqa: FBT001
    """Exact, or within a tenth of logits up to 10: the loss is in their unit."""
    facts = {"loss": 0.0, "logits": 0.0, "largest": 10.0, "texts": [], "ties": [], **figures}
    found = Invariance(clips=["a", "b"], seconds=(1.0, 2.0), **facts)

    assert (found.exact, found.within(0.1)) == (exact, within)


class TestPrecision:
    """Rounding hides what a batch changes, or looks like it; fp64 tells them apart."""

    @staticmethod
    def model(decoder_folder: str, dtype: str, projector: type[QFormer], encoder: TinyEncoder) -> Joined:
        """Return a model with a sigmoid router and a Q-former."""
        torch.manual_seed(5)
        adapter = Steering(SteeringConfig(experts=3, start=0.5), encoder, SigmoidRouter)
        former = projector(None, encoder.width, decoder(decoder_folder))
        return joined(decoder_folder, adapter, former, encoder, dtype=dtype).eval()

    @pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
    def test_rounding(self, decoder_folder: str, examples: list[Example], dtype: str) -> None:
        """A correct model that is not exact in its own precision is exact in fp64."""
        model = self.model(decoder_folder, dtype, QFormer, TinyEncoder(TinyConfig()))

        assert not measured(model, examples).exact
        with in_fp64(model):
            assert measured(model, examples).exact

    @pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
    @pytest.mark.parametrize("leak", ["padding", "mates"])
    def test_leak(self, decoder_folder: str, examples: list[Example], dtype: str, leak: str) -> None:
        """One that sees padding or batch-mates is not, even where bf16 rounds by more than it sees."""
        encoder = (Crowd if leak == "mates" else TinyEncoder)(TinyConfig())
        encoder.loud = 1e-3  # type: ignore[union-attr]
        projector = LeakyQFormer if leak == "padding" else QFormer
        model = self.model(decoder_folder, dtype, projector, encoder)

        with in_fp64(model):
            assert not measured(model, examples).exact

    @pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
    def test_weights_are_as_before(self, decoder_folder: str, dtype: str) -> None:
        """Bit for bit, buffers and tied tensors too, also after an error."""
        model = joined(decoder_folder, dtype=dtype)
        before = identity(model)
        kinds = {name: tensor.dtype for name, tensor in model.state_dict().items()}

        with suppress(ZeroDivisionError), in_fp64(model):
            assert {p.dtype for p in model.parameters()} == {torch.float64}
            raise ZeroDivisionError

        assert identity(model) == before
        assert {name: tensor.dtype for name, tensor in model.state_dict().items()} == kinds

    @pytest.mark.parametrize(
        ("dtype", "share"), [("float32", 1e-4), ("bfloat16", 0.0625), ("float16", 0.0078125)]
    )
    def test_rounding_is_that_of_the_lowest_precision(
        self, decoder_folder: str, dtype: str, share: float
    ) -> None:
        """The encoder is in fp32 in any case."""
        model = joined(decoder_folder, dtype=dtype)

        assert rounding(model) == share
        with in_fp64(model):
            assert rounding(model) == EXACT


class TestTies:
    """Where two answers part, the tokens may be as good as each other."""

    @staticmethod
    def answered(
        decoder_folder: str,
        examples: list[Example],
        monkeypatch: pytest.MonkeyPatch,
        other: list[int] | None,
        *,
        twins: bool,
    ) -> Invariance:
        """Return what is measured where the last clip is answered otherwise in its batch.

        :param other: the tokens of the other answer; None: it is over at once.
        :param twins: whether its first token, or the end, is as probable as what it takes the place of.
        """
        model = joined(decoder_folder).eval()
        collator = AsrCollator(AsrConfig(), model.decoder.tokenizer, model.encoder.features)
        last = collator.collate(mixed(examples)[-1:], answered=False)
        (own,) = generate(model, last, [6])
        table = model.decoder.embeddings
        token = other[0] if other else model.decoder.eos
        assert token != own.ids[0]
        if twins:
            table[token] = table[own.ids[0]]

        def answers(_: Evaluator, batches: list[list[Example]]) -> list[Answer]:
            if len(batches) == 1:
                return [own]
            return [*[attrs.evolve(own)] * (sum(map(len, batches)) - 1), Answer(other or [], "eos")]

        monkeypatch.setattr("steermoe_core.evaluate.invariance._answers", answers)
        return measured(model, examples)

    @pytest.mark.parametrize(
        ("other", "twins"), [([3], True), ([3, 4], True), (None, True), ([3], False), (None, False)]
    )
    def test_another_answer(
        self,
        decoder_folder: str,
        examples: list[Example],
        monkeypatch: pytest.MonkeyPatch,
        other: list[int] | None,
        twins: bool,  # noqa: FBT001
    ) -> None:
        """Right where two tokens, or a token and the end, have one logit; else the batch is at fault."""
        found = self.answered(decoder_folder, examples, monkeypatch, other, twins=twins)

        assert found.texts == found.clips[-1:]
        assert found.ties == (found.texts if twins else [])
        assert found.exact == found.within(1.0) == twins


class Biased(SoftCtcProjector):
    """Swaps its two best proposals in a batch, whatever their probabilities, or makes them as probable."""

    twins = False

    def proposals(self, frames: Padded, most: int) -> list[list[Proposal]]:
        best = max(one.log_probability for row in super().proposals(frames, most) for one in row)
        rows = [
            [Proposal([2, 3], best), Proposal([5], best - (0.0 if self.twins else 0.1))]
            for _ in frames.rows()
        ]
        return rows if len(frames) == 1 else [row[::-1] for row in rows]


class TestChosen:
    """Answers that are chosen among proposals are compared as they are chosen."""

    @staticmethod
    def model(decoder_folder: str, kind: type[SoftCtcProjector] = SoftCtcProjector, **parts: Any) -> Joined:
        """Return a model with a CTC head."""
        encoder = parts.pop("encoder", TinyEncoder(TinyConfig()))
        torch.manual_seed(0)
        projector = kind(SoftCtcConfig(), encoder.width, decoder(decoder_folder))
        projector.begin(iter([[2, 3, 5], [8], [5, 2]]), iter([]))
        return joined(decoder_folder, projector=projector, encoder=encoder).eval()

    @pytest.mark.parametrize("weight", [0.0, 0.3])
    def test_they_do_not_depend_on_the_batch(
        self, decoder_folder: str, examples: list[Example], weight: float
    ) -> None:
        """As greedy ones."""
        found = measured(self.model(decoder_folder), examples, nbest=4, nbest_weight=weight)
        assert found.texts == found.ties == []
        assert found.exact

    def test_proposals_that_depend_on_the_batch_show(
        self, decoder_folder: str, examples: list[Example]
    ) -> None:
        """Where loss, logits and greedy texts do not."""
        model = self.model(decoder_folder, Biased)

        assert measured(model, examples).exact
        found = measured(model, examples, nbest=2, nbest_weight=0.0)
        assert found.loss <= EXACT
        assert found.texts[:3] == found.clips[:3]
        assert not found.exact

    def test_equal_sums_are_a_tie(self, decoder_folder: str, examples: list[Example]) -> None:
        """Either text is right."""
        model = self.model(decoder_folder, Biased)
        model.projector.twins = True  # type: ignore[assignment]

        found = measured(model, examples, nbest=2, nbest_weight=0.0)

        assert found.texts == found.ties != []
        assert found.exact
