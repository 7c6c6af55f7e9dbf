"""Sound scenes: answers are true of what is heard, no sound is in two splits, a seed makes them again."""

from __future__ import annotations

import csv
import random
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from steermoe_pocket.clips import RATE
from steermoe_pocket.scenes import __main__ as command
from steermoe_pocket.scenes import dataset, folder, scene, sounds
from steermoe_pocket.scenes.config import ScenesConfig
from steermoe_pocket.scenes.questions import NUMBERS, Asked, answered, asked
from steermoe_pocket.scenes.scene import COUNTED, KINDS, Scene, draw, waveform
from steermoe_pocket.text import part

if TYPE_CHECKING:
    from pathlib import Path

SPLITS = ("train", "val", "test")
places = st.tuples(st.sampled_from(SPLITS), st.integers(0, 999), st.integers(0, 9))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a set of a few clips, with a tone for a voice."""
    monkeypatch.setattr(folder, "SIZES", {"train": 4, "val": 2, "test": 2})
    monkeypatch.setattr(scene, "speak", lambda *_: sounds.bell(np.random.default_rng(0)))


class TestScene:
    """A scene is a function of its place and seed."""

    @given(places)
    def test_is_drawn_again_alike(self, place: tuple[str, int, int]) -> None:
        """The same arguments give the same scene: two or three different sounds."""
        found = draw(*place)

        assert found == draw(*place)
        kinds = [event.kind for event in found.events]
        assert len(kinds) == len(set(kinds)) in {2, 3}
        assert all((event.count > 1) == (event.kind in COUNTED) for event in found.events)

    def test_no_sound_of_one_split_is_in_another(self) -> None:
        """Neither a variant of a kind nor a spoken text."""
        heard = {
            split: {
                (event.kind, event.variant)
                for number in range(300)
                for event in draw(split, number, 0).events
            }
            for split in SPLITS
        }

        assert not heard["train"] & heard["val"]
        assert not (heard["train"] | heard["val"]) & heard["test"]
        for split, its in (("train", "train"), ("val", "dev"), ("test", "test")):
            assert {part(text) for text in scene._texts(split)} == {its}

    @pytest.mark.parametrize("kind", COUNTED)
    def test_what_is_counted_sounds_so_often(self, kind: str) -> None:
        """As many times as the answer says, silence between."""
        for count in (2, 3, 4):
            event = scene.Event(kind, variant=3, count=count)
            loud = np.abs(scene._sound(event, "train", 0)) > 1e-4
            starts = np.flatnonzero(np.diff(loud.astype(int), prepend=0) == 1)
            apart = 1 + np.count_nonzero(np.diff(starts) > 0.05 * RATE)

            assert apart == count

    @pytest.mark.parametrize("up", [True, False])
    def test_a_siren_goes_the_way_it_says(self, up: bool) -> None:  # noqa: FBT001 - a parameter of the test
        """Its strongest frequency is higher at the end, or at the beginning."""
        wave = sounds.siren(np.random.default_rng(1), up=up)
        quarter = len(wave) // 4
        first, last = (np.abs(np.fft.rfft(piece)).argmax() for piece in (wave[:quarter], wave[-quarter:]))

        assert (last > first) == up

    def test_is_heard_in_full(self, few: None) -> None:
        """Two seconds or more, within full scale, the same samples each time."""
        for number in range(10):
            found = draw("val", number, 0)
            wave = waveform(found, "val", 0)

            assert 2 * RATE <= len(wave) <= 7 * RATE
            assert 0.05 < np.abs(wave).max() <= 1.0
            assert np.array_equal(wave, waveform(found, "val", 0))


class TestQuestions:
    """Six to a scene, and what the annotators say."""

    @settings(max_examples=50)
    @given(places)
    def test_two_yes_two_no_two_words(self, place: tuple[str, int, int]) -> None:
        """All different, with their answers' truth in the scene."""
        found = draw(*place)
        questions = asked(found, random.Random(0))

        assert len({one.question for one in questions}) == 6
        kinds = Counter(one.answer if one.answer in {"yes", "no"} else "word" for one in questions)
        assert kinds == {"yes": 2, "no": 2, "word": 2}
        for one in questions:
            assert one.answer == truth(found, one.question)
            assert one.answer not in one.others

    def test_a_question_does_not_tell_its_answer(self) -> None:
        """Over many scenes, each question about a sound is answered by yes about as often as by no."""
        answers: dict[str, Counter[str]] = {}
        for number in range(600):
            found = draw("train", number, 0)
            for one in asked(found, random.Random(number)):
                answers.setdefault(one.question, Counter())[one.answer] += 1
        binary = [count for question, count in answers.items() if question.startswith(("Is", "Can"))]

        assert len(binary) == 2 * len(KINDS)
        assert all(0.35 < count["yes"] / count.total() < 0.65 for count in binary)

    def test_annotators_err_at_times_and_are_then_less_sure(self) -> None:
        """One in ten answers is wrong, of the right sort."""
        chance = random.Random(0)
        question = Asked("Is there a siren?", "yes", ("no",))
        rows = [row for _ in range(1000) for row in answered(question, chance)]
        wrong = [sure for answer, sure in rows if answer == "no"]
        right = [sure for answer, sure in rows if answer == "yes"]

        assert len(wrong) + len(right) == len(rows) == 3000
        assert 0.08 < len(wrong) / len(rows) < 0.12
        assert wrong.count("yes") / len(wrong) < 0.5 < right.count("yes") / len(right)


def truth(found: Scene, question: str) -> str:
    """Work the answer out from the scene."""
    words = question.rstrip("?").split()
    if words[-1] in {"first", "last"}:
        return found.events[0 if words[-1] == "first" else -1].kind
    if words[0] == "How":
        (event,) = (event for event in found.events if f"{event.kind}s" == words[2])
        return NUMBERS[event.count - 1]
    if words[0] == "Does":
        (event,) = (event for event in found.events if event.kind == "siren")
        return "up" if event.up else "down"
    return "yes" if found.has(words[-1]) else "no"


class TestFolder:
    """The set on disk."""

    def test_has_the_published_layout(self, few: None, tmp_path: Path) -> None:
        """Three tables with four columns, three rows a question, and a sound file for each name."""
        folder.write(tmp_path, seed=0)

        names = set()
        for split, size in folder.SIZES.items():
            with (tmp_path / f"clotho_aqa_{split}.csv").open(encoding="utf-8", newline="") as file:
                header, *rows = csv.reader(file)
            assert header == ["file_name", "QuestionText", "answer", "confidence"]
            assert len(rows) == size * 6 * 3
            assert {row[3] for row in rows} <= {"yes", "maybe", "no"}
            names |= {row[0] for row in rows}
        assert names == {path.name for path in (tmp_path / "audio_files").iterdir()}
        assert {soundfile.info(path).samplerate for path in (tmp_path / "audio_files").iterdir()} == {RATE}

    def test_is_made_once_for_each_seed(self, few: None) -> None:
        """And is the same when it is made again."""
        first, other = folder.folder(0), folder.folder(1)
        table = (first / "clotho_aqa_val.csv").read_bytes()

        assert folder.folder(0) == first != other
        assert (other / "clotho_aqa_val.csv").read_bytes() != table

    def test_is_a_dataset_of_questions(self, few: None) -> None:
        """Read as Clotho-AQA is: six questions a clip, clips as clusters, three answers each."""
        found = dataset.examples(ScenesConfig(split="test"))

        assert len(found) == 12
        assert len({example.cluster for example in found}) == 2
        assert {len(example.references) for example in found} == {3}
        assert {example.split for example in found} == {"test"}

    def test_has_captions_to_train_on(self, few: None) -> None:
        """One for each clip, with everything that is heard in order."""
        found = dataset.examples(ScenesConfig(ask="captions", prompt="Q: {question}"))

        assert [example.prompt for example in found] == ["Q: What is heard in order?"] * 4
        assert {example.audio for example in found} == {
            example.audio for example in dataset.examples(ScenesConfig())
        }
        for number, example in enumerate(found):
            names = [kind for word in example.text.split() for kind in KINDS if word in {kind, f"{kind}s"}]
            assert names == [event.kind for event in draw("train", number, 0).events]

    def test_a_caption_has_no_annotators(self) -> None:
        """So there is nothing to choose among."""
        with pytest.raises(ValueError, match="leave it out"):
            ScenesConfig(ask="captions", answers="each")

    def test_can_be_written_to_a_folder_of_ones_own(
        self, few: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """`python -m steermoe_pocket.scenes FOLDER`; a folder that holds something is left alone."""
        assert command.main([str(tmp_path / "scenes"), "--seed", "3"]) == 0
        assert "8 clips" in capsys.readouterr().out

        assert command.main([str(tmp_path / "scenes")]) == 2
        assert "is not empty" in capsys.readouterr().err
