"""Controls and probes: answers without audio, to that of another clip, and to sounds without speech."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from steermoe_core.data.config import FolderConfig
from steermoe_core.data.example import Example
from steermoe_core.data.sources.folder import read_folder
from steermoe_core.evaluate.probes import PROBES, Probe
from steermoe_core.model.generate import generate
from tests.evaluate.conftest import evaluator
from tests.tiny import DIGITS, write_folder

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.model.joined import Joined


class TestNoAudio:
    """The control that gives the decoder no audio."""

    @pytest.mark.parametrize("prompt", ["what is it ?", "the text :", ""])
    def test_equals_answering_each_clip_by_itself(
        self, model: Joined, examples: list[Example], prompt: str
    ) -> None:
        """One answer, cut to each clip's limit, is what each clip would be answered with."""
        judge = evaluator(model, {"prompt": prompt}, max_new_tokens=40)

        found, _ = judge.evaluate(examples)

        for example, row in zip(examples, found["no-audio"], strict=True):
            batch = judge.collator.collate([example], answered=False)
            limit = judge.limit(example.seconds)
            (answer,) = generate(model, batch, [limit], audio=model.without_audio(batch))
            assert (row.hypothesis, row.stop) == (judge.collator.hypothesis(answer.ids), answer.stop)
            assert row.tokens == len(answer.ids) <= limit
        assert len({row.tokens for row in found["no-audio"]}) > 1

    def test_answers_each_question_once(self, model: Joined, tmp_path: Path) -> None:
        """Clips with a prompt of their own have an answer of their own."""
        folder = write_folder(tmp_path, DIGITS[:4])
        table = folder / "metadata.csv"
        lines = table.read_text().splitlines()
        prompts = ["question", "what is it ?", "is it one ?", "what is it ?", "is it one ?"]
        table.write_text("\n".join(f"{line},{prompt}" for line, prompt in zip(lines, prompts, strict=True)))
        clips = read_folder(FolderConfig(path=folder, prompt_column="question"))
        judge = evaluator(model)

        found, _ = judge.evaluate(clips)

        assert len(judge._silent) == 2
        for clip, row in zip(clips, found["no-audio"], strict=True):
            batch = judge.collator.collate([clip], answered=False)
            (answer,) = generate(model, batch, [judge.limit(clip.seconds)], audio=model.without_audio(batch))
            assert row.hypothesis == judge.collator.hypothesis(answer.ids)

    def test_may_be_left_out(self, model: Joined, examples: list[Example]) -> None:
        """`controls = []` generates nothing but the answers."""
        found, scores = evaluator(model, controls=[]).evaluate(examples)

        assert found.keys() == {""}
        assert scores.controls == {}


class TestShuffledAudio:
    """The control that gives each clip the audio of another one."""

    def test_is_answered_with_the_audio_that_it_names(self, model: Joined, examples: list[Example]) -> None:
        """What is said to a clip's audio does not depend on whose reference it is held against."""
        found, scores = evaluator(model, controls=["shuffled-audio"]).evaluate(examples)

        own = {row.id: row for row in found[""]}
        for row, example in zip(found["shuffled-audio"], examples, strict=True):
            assert row.heard is not None
            assert row.heard != row.id == example.id
            assert (row.hypothesis, row.seconds) == (own[row.heard].hypothesis, own[row.heard].seconds)
            assert row.reference == example.text
        assert {row.heard for row in found["shuffled-audio"]} == own.keys()
        assert {row.heard for row in found[""]} == {None}
        assert scores.controls["shuffled-audio"]["wer"].examples == len(examples)

    def test_changes_nothing_else(self, model: Joined, examples: list[Example]) -> None:
        """Neither answers nor the adapter's statistics nor the count of audio tokens."""
        found, scores = evaluator(model, controls=["shuffled-audio"]).evaluate(examples)
        expected, alone = evaluator(model, controls=[]).evaluate(examples)

        assert found[""] == expected[""]
        for key in ("metrics", "steering", "audio_tokens_per_second", "stops", "pathologies", "probes"):
            assert getattr(scores, key) == getattr(alone, key)


class TestProbes:
    """What is written down when nothing was said."""

    def test_each_sound_is_answered(self, model: Joined, examples: list[Example]) -> None:
        """As any clip of its length would be; they are part of no score."""
        judge = evaluator(model)

        _, scores = judge.evaluate(examples)

        assert [(one.sound, one.seconds) for one in scores.probes] == PROBES
        for one in scores.probes[::3]:
            clip = Example(id="x", audio=Probe(one.sound, one.seconds), text="", seconds=one.seconds)
            batch = judge.collator.collate([clip], answered=False)
            (answer,) = generate(model, batch, [judge.limit(clip.seconds)])
            assert one.hypothesis == judge.collator.hypothesis(answer.ids)
        assert scores.examples == len(examples)

    def test_may_be_left_out(self, model: Joined, examples: list[Example]) -> None:
        """`probes = false` answers none."""
        assert evaluator(model, probes=False).evaluate(examples)[1].probes == []
