"""Scores of a split are those of its clips one by one: batches, padding and limits change no text."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import torch

from steermoe_core.config.experiment import EvaluateConfig
from steermoe_core.config.resolve import resolve
from steermoe_core.data.config import FolderConfig
from steermoe_core.data.sources.folder import read_folder
from steermoe_core.data.usable import usable
from steermoe_core.errors import DataError
from steermoe_core.evaluate.answered import Answered
from steermoe_core.evaluate.evaluation import Evaluator
from steermoe_core.evaluate.probes import PROBES
from steermoe_core.plugins import load_registry
from steermoe_core.run.assembly.builder import Builder
from tests.evaluate.conftest import evaluator
from tests.tiny import DIGITS, write_folder

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.data.example import Example
    from steermoe_core.evaluate.prediction import Prediction
    from steermoe_core.evaluate.scores import Scores
    from steermoe_core.model.joined import Joined


@pytest.mark.parametrize("template", ["{audio}{prompt}", "{prompt}{audio}"])
@pytest.mark.parametrize("size", [{"batch_size": 8}, {"batch_size": 100}, {"batch_tokens": 300}, {}])
def test_clips_together_are_answered_as_alone(
    model: Joined, examples: list[Example], size: dict[str, int], template: str
) -> None:
    """Texts, scores and statistics of steering are those of clips scored alone."""
    alone, expected = evaluator(model, {"template": template}, batch_size=1).evaluate(examples)

    together, scores = evaluator(model, {"template": template}, **size).evaluate(examples)

    assert together == alone
    assert scores.metrics == expected.metrics
    assert scores.controls == expected.controls
    for one, other in zip(scores.steering, expected.steering, strict=True):
        assert one.load == pytest.approx(other.load, abs=1e-5)
    assert len({row.hypothesis for row in alone[""]}) > 1


def test_workers_change_nothing(model: Joined, examples: list[Example]) -> None:
    """Features that another process made are the same, and random numbers of the training are left alone."""
    expected, _ = evaluator(model).evaluate(examples)
    judge = evaluator(model)
    judge.workers = 1
    state = torch.get_rng_state()

    found, _ = judge.evaluate(examples)

    assert found == expected
    assert torch.equal(torch.get_rng_state(), state)


def test_half_precision_is_that_of_training(model: Joined, examples: list[Example]) -> None:
    """Encoder and decoder compute in bf16, the answers' rows stay complete; fp32 is left as it was."""
    kinds: set[torch.dtype] = set()
    judge = evaluator(model, controls=[], probes=False)
    judge.half = True
    layers = [model.encoder.first, model.decoder.model.lm_head]
    hooks = [layer.register_forward_hook(lambda *seen: kinds.add(seen[2].dtype)) for layer in layers]
    try:
        found, _ = judge.evaluate(examples)
        assert kinds == {torch.bfloat16}
        kinds.clear()
        evaluator(model, controls=[], probes=False).evaluate(examples)
        assert kinds == {torch.float32}
    finally:
        for hook in hooks:
            hook.remove()
    assert [row.id for row in found[""]] == [example.id for example in examples]


@pytest.mark.parametrize("tokens", [None, 2048, 400])
def test_a_batch_is_a_quarter_of_the_budget(model: Joined, tokens: int | None) -> None:
    """Clips of 2 s: prompt, audio and the longest possible answer of the longest, times the clips."""
    judge = evaluator(model, batch_tokens=tokens)
    frames = model.encoder.frames(round(2.0 * model.encoder.sample_rate))
    length = model.projector.tokens(frames) + sum(judge.collator.prompt_lengths()) + judge.limit(2.0)

    size = judge.batch_size(2.0)

    assert size == max(1, (tokens or 8192) // 4 // length)
    assert judge.capacity.holds([length] * 4 * size)
    assert not judge.capacity.holds([length] * 4 * (size + 1))


def test_predictions_are_in_the_order_of_the_clips(model: Joined, examples: list[Example]) -> None:
    """Though the longest clips are answered first; each line has all that a comparison needs."""
    found, _ = evaluator(model).evaluate(examples)

    assert [row.id for row in found[""]] == [example.id for example in examples]
    assert [row.reference for row in found[""]] == list(DIGITS)
    assert [row.seconds for row in found[""]] == [round(example.seconds, 3) for example in examples]


def test_predictions_carry_what_judges_need(model: Joined, examples: list[Example]) -> None:
    """Question, accepted answers, labels, and both sides as tokens, as the answers are learned."""
    asked = [
        attrs.evolve(example, prompt="what is it ?", references=("one", "two"), labels={"kind": "word"})
        for example in examples[:2]
    ]
    judge = evaluator(model)

    found, _ = judge.evaluate(asked)

    for example, row in zip(asked, found[""], strict=True):
        assert (row.prompt, row.references, row.labels) == ("what is it ?", ("one", "two"), {"kind": "word"})
        assert judge.collator.hypothesis(row.ids) == row.hypothesis
        assert len(row.ids) == row.tokens
        assert [*row.reference_ids, judge.collator.end] == judge.collator.answer(example)


class TestLimits:
    """How long an answer may be."""

    @pytest.mark.parametrize(
        ("settings", "seconds", "limit"),
        [
            ({}, 1.0, 20),
            ({}, 100.0, 200),
            ({"max_new_tokens": 5}, 1.0, 5),
            ({"tokens_per_second": 0.5}, 3.0, 10),
        ],
    )
    def test_grow_with_the_clip(
        self, model: Joined, settings: dict[str, Any], seconds: float, limit: int
    ) -> None:
        """8 tokens and so many a second, never more than `max_new_tokens`."""
        assert evaluator(model, **settings).limit(seconds) == limit

    def test_are_counted(self, model: Joined, examples: list[Example]) -> None:
        """scores.json says how many answers ended by themselves."""
        found, scores = evaluator(model, max_new_tokens=3).evaluate(examples)

        assert sum(scores.stops.values()) == len(examples)
        assert scores.stops.get("limit", 0) == sum(row.stop == "limit" for row in found[""])
        assert all(row.tokens <= 3 for row in found[""])


class TestLeftOut:
    """Clips that cannot be scored are named; a split never shrinks in silence."""

    def test_is_named_with_its_reason(self, model: Joined, tmp_path: Path) -> None:
        """Too long for the encoder, missing; the others are scored."""
        clips = read_folder(FolderConfig(path=write_folder(tmp_path, DIGITS[:3], [0.5, 20.5, 0.5])))
        clips[2].audio.unlink()
        clips = read_folder(FolderConfig(path=tmp_path))

        found, scores = evaluator(model).evaluate(clips)

        assert [row.id for row in found[""]] == ["000.wav"]
        assert scores.left_out == {
            "longer than 20 s": ["001.wav"],
            "cannot be read": [f"{tmp_path / '002.wav'}: there is no such audio file"],
        }

    def test_nothing_left_is_an_error(self, model: Joined, tmp_path: Path) -> None:
        """A score of no clip is no score."""
        clips = read_folder(FolderConfig(path=write_folder(tmp_path, ["one"], [20.5])))

        with pytest.raises(DataError, match=r"no clip is left: .* 1 longer than 20 s"):
            evaluator(model).evaluate(clips)


def test_progress_counts_every_clip(model: Joined, examples: list[Example]) -> None:
    """The controls' clips and the probes, too."""
    told: list[int] = []
    judge = evaluator(model, batch_size=4)
    judge.progressed = told.append

    judge.evaluate(examples)

    assert sum(told) == 2 * len(examples) + len(PROBES)
    assert max(told) == 1  # a quarter of what is generated together


POCKET = """
experiment.name = "real"
encoder = { use = "whisper", weights = "pocket/whisper-tiny.en", input = "true-length" }
adapter = { use = "steering", experts = 2 }
projector = { use = "linear", pool = { kernel = 8 } }
decoder = { use = "causal-lm", weights = "pocket/smollm2-135m-instruct" }
data.train = { use = "pocket-speech", source = "human" }
data.eval.human = { use = "pocket-speech", source = "human", split = "test" }
train.steps = 1
"""


@pytest.mark.slow
def test_batch_size_changes_nothing_on_real_models(tmp_path: Path) -> None:
    """12 human clips, Whisper and SmolLM2: alone and in batches of six they get the same words."""
    (tmp_path / "real.toml").write_text(POCKET)
    torch.set_num_threads(1)
    registry = load_registry()
    builder = Builder(resolve(tmp_path / "real.toml", [], registry).experiment, registry)
    model = builder.model()
    clips, _ = usable(builder.eval_examples()["human"], min_seconds=0.1, max_seconds=6.0, max_bad=0.0)
    chosen = clips[:: max(1, len(clips) // 12)][:12]
    config = {"max_new_tokens": 8, "controls": []}

    def judge(size: int) -> Evaluator:
        return Evaluator(
            model, builder.collator(model), EvaluateConfig(batch_size=size, **config), [], seed=0
        )

    alone, together = (judge(size).evaluate(chosen)[0] for size in (1, 6))

    assert together == alone
    assert len(alone[""]) == 12
    assert len({row.hypothesis for row in alone[""]}) > 4


def test_audio_tokens_are_counted_by_the_live_model(model: Joined, examples: list[Example]) -> None:
    """What the decoder got of all clips over their seconds; each control that hears nothing adds nothing."""
    judge = evaluator(model, batch_size=3)
    frames = [model.encoder.frames(round(example.seconds * 16_000)) for example in examples]
    tokens = sum(model.projector.tokens(count) for count in frames)

    for _ in range(2):
        _, scores = judge.evaluate(examples)
        seconds = sum(example.seconds for example in examples)
        assert scores.audio_tokens_per_second == pytest.approx(tokens / seconds, abs=1e-3)


def test_rows_carry_the_edits_that_the_scores_add_up(model: Joined, examples: list[Example]) -> None:
    """Of the controls, too."""
    found, scores = evaluator(model, controls=["no-audio", "shuffled-audio"]).evaluate(examples)

    for control, rows in found.items():
        for name, score in (scores.controls[control] if control else scores.metrics).items():
            sums = [sum(counts) for counts in zip(*(row.edits[name] for row in rows), strict=True)]
            assert sums == list(attrs.astuple(score.edits))


class TestGoesOn:
    """An evaluation that was stopped among answers, controls or probes ends as if it had not been."""

    CONTROLS = ("no-audio", "shuffled-audio")
    BATCHES = 5 + 5 + 5 + 4

    @pytest.mark.parametrize("after", [2, 7, 12, 18])
    def test_with_the_same_result(
        self,
        model: Joined,
        examples: list[Example],
        after: int,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Texts, scores, statistics of steering, counts; and nothing is answered twice."""
        settings = {"batch_size": 8, "controls": list(self.CONTROLS)}
        expected, scores = evaluator(model, **settings).evaluate(examples)
        stopped = evaluator(model, **settings)
        stopped.answered = Answered(tmp_path, "key")
        put = Answered.put

        def stopping(self: Answered, batch: str, answers: list[Any]) -> None:
            if len((tmp_path / "0.jsonl").read_text().splitlines()) > after:
                raise KeyboardInterrupt
            put(self, batch, answers)

        with monkeypatch.context() as patch:
            patch.setattr(Answered, "put", stopping)
            with pytest.raises(KeyboardInterrupt):
                stopped.evaluate(examples)
        again = evaluator(model, **settings)
        again.answered = Answered(tmp_path, "key")
        assert len(again.answered.batches) == after

        found, after_all = again.evaluate(examples)

        assert found == expected
        assert attrs.evolve(after_all, seconds=0) == attrs.evolve(scores, seconds=0)
        assert len((tmp_path / "0.jsonl").read_text().splitlines()) == 1 + self.BATCHES


def test_processes_share_all_of_it(model: Joined, examples: list[Example]) -> None:
    """Three processes answer their shares, of controls and probes too; all know the same in the end."""
    settings = {"batch_size": 2, "controls": ["no-audio", "shuffled-audio"]}
    expected, scores = evaluator(model, **settings).evaluate(examples)
    meeting, said = Barrier(3), [None] * 3

    def share(rank: int) -> tuple[dict[str, list[Prediction]], Scores]:
        def gathered(value: Any) -> list[Any]:
            said[rank] = value
            meeting.wait()
            values = list(said)
            meeting.wait()
            return values

        judge = evaluator(model, **settings)
        judge.rank, judge.ranks, judge.gathered = rank, 3, gathered
        judge.model = copy.deepcopy(model)  # a process has its own
        return judge.evaluate(examples)

    with ThreadPoolExecutor(3) as pool:
        shares = list(pool.map(share, range(3)))

    for found, one in shares:
        assert found == expected
        for key in ("metrics", "controls", "pathologies", "probes", "audio_tokens_per_second"):
            assert getattr(one, key) == getattr(scores, key)
