"""Certificates of what a run left: whole splits, no overlap with training, a gradient for every tensor."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from steermoe_core.config.experiment import TrainConfig
from steermoe_core.run.certify.from_record import gradients
from steermoe_core.run.folder.run_folder import RunFolder
from tests.run.certify.claims import FRESH, TEXTS, again, certificates, failed, write_new
from tests.tiny import write_folder, write_table, write_wav

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig


def test_a_split_that_is_not_whole(fresh: Rig, run: Path) -> None:
    """A line that is gone, a line twice, scores that are gone, data that changed: each is counted."""
    path = run / "evaluations" / "dev" / "predictions.jsonl"
    lines = path.read_text().splitlines(keepends=True)

    path.write_text("".join(lines[1:]))
    fault = again(run)["whole-splits"]
    assert (fault["passed"], fault["measured"]["splits"]["dev"]["scored"]) == (False, 3)
    assert fault["why"] == (
        "dev: 3 scored and 0 left out, but the source has 4; "
        "dev: scores.json counts 4 clips, predictions.jsonl 3"
    )

    path.write_text("".join([*lines[1:], lines[1]]))
    assert again(run)["whole-splits"]["why"] == "dev: scored, but not so in the source: 001.wav"

    path.unlink()
    assert "dev: no scores (" in again(run)["whole-splits"]["why"]

    path.write_text("".join(lines))
    write_new(fresh, *TEXTS[:3], "audio")
    assert again(run)["whole-splits"]["why"].startswith("dev: the data changed since it was scored; other: ")


class TestMovedData:
    """What was trained on or scored is not where it was."""

    @pytest.mark.parametrize("sounds", [False, True])
    def test_of_a_split(self, fresh: Rig, sounds: bool) -> None:  # noqa: FBT001
        """Folder or sounds: no failure, and what does not need them is measured."""
        run = fresh.run(FRESH[0])
        for wav in [*(fresh.folder / "new").glob("*.wav")] if sounds else [fresh.folder / "new"]:
            wav.rename(fresh.folder / f"{wav.name}.away")

        found = again(run)

        assert found["whole-splits"]["passed"] is None
        assert found["whole-splits"]["why"].startswith("dev: the data is not here: ")
        assert found["batch-invariance"]["measured"]["split"] == "other"
        assert found["frozen-stayed-frozen"]["passed"]

    def test_lines_that_are_missing_are_a_failure_all_the_same(self, fresh: Rig, run: Path) -> None:
        """Predictions and scores are compared without the data, too."""
        path = run / "evaluations" / "dev" / "predictions.jsonl"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
        (fresh.folder / "new").rename(fresh.folder / "away")

        found = again(run)["whole-splits"]

        assert found["passed"] is False
        assert "dev: scores.json counts 4 clips, predictions.jsonl 3; dev: the data is not" in found["why"]

    def test_of_training(self, fresh: Rig, run: Path) -> None:
        """What is there now says nothing of what was trained on."""
        shutil.rmtree(fresh.folder / "train")
        write_folder(fresh.folder / "train", TEXTS)

        found = again(run)["no-train-eval-overlap"]

        assert (found["passed"], found["why"]) == (None, "the training data changed since it was trained on")


def test_what_was_too_long_to_be_trained_on_is_no_overlap(fresh: Rig) -> None:
    """A clip that the collator leaves out was not trained on."""
    shutil.rmtree(fresh.folder / "train")
    write_folder(fresh.folder / "train", ["one", "two", "three four five"])
    shutil.copytree(fresh.folder / "train", fresh.folder / "same")
    (fresh.folder / "same" / "000.wav").unlink()
    (fresh.folder / "same" / "001.wav").unlink()
    (fresh.folder / "same" / "metadata.csv").write_text("file_name,transcription\n002.wav,three four five\n")
    sets = (FRESH[0], 'data.eval.other.path="same"')

    limit = ("collator.max_answer_tokens=2", 'collator.too_long="drop"')
    assert "no-train-eval-overlap" not in failed(fresh.run(*sets, *limit))
    assert failed(fresh.run(*sets)) == {"no-train-eval-overlap": "other: 1 of 1 clips were trained on"}


def test_what_a_starting_adapter_learned_from_is_not_known(fresh: Rig) -> None:
    """So nothing is promised of the run that goes on from it, but an overlap of its own data is told."""
    first = fresh.run(*FRESH)
    text = fresh.file.read_text()
    tables = text[text.index("[adapter]") : text.index("[decoder]")]
    fresh.file.write_text(f'adapter = "{first}/adapter"\n' + text.replace(tables, ""))

    found = certificates(fresh.run(*FRESH))
    assert found.pop("no-train-eval-overlap")["passed"] is None
    assert all(one["passed"] for one in found.values())
    assert list(failed(fresh.run(*FRESH, 'data.train.path="new"'))) == ["no-train-eval-overlap"]


def test_texts_of_other_recordings_are_told(fresh: Rig) -> None:
    """They are no failure: people repeat sentences."""
    write_new(fresh, "zero", "one", "content")

    found = certificates(fresh.run(*FRESH))["no-train-eval-overlap"]

    assert found["passed"]
    assert "; dev: 2 of 3 texts were trained on too, of other recordings; " in found["why"]


class TestQuestions:
    """A set that asks the same questions of other sounds shares nothing with the one that was trained on."""

    @staticmethod
    def asked(rig: Rig, folder: str, rows: list[tuple[float, str, str]]) -> None:
        """Write a folder of questions about tones: hertz, question, answer."""
        shutil.rmtree(rig.folder / folder)
        table = []
        for hertz, question, answer in rows:
            name = f"{hertz:g}.wav"
            write_wav(rig.folder / folder / name, 0.5 + hertz / 1000, hertz=hertz)
            table.append({"file_name": name, "transcription": answer, "question": question})
        write_table(rig.folder / folder, table)

    def run(self, rig: Rig, *rows: tuple[float, str, str]) -> dict[str, Any]:
        """Return the certificate of overlap of a run that was trained on some questions and scores others."""
        self.asked(rig, "train", [(200, "what is it ?", "one"), (300, "is it one ?", "two")])
        self.asked(rig, "new", list(rows))
        sources = ("data.train", "data.eval.dev", "data.eval.other")
        columns = [f'{source}.prompt_column="question"' for source in sources]
        run = rig.run(*FRESH, *columns, 'collator.template="{audio}{prompt}"')
        return certificates(run)["no-train-eval-overlap"]

    def test_other_sounds(self, fresh: Rig) -> None:
        """Same questions, same answers."""
        found = self.run(fresh, (400, "what is it ?", "one"), (500, "is it one ?", "two"))
        assert found["passed"]
        assert "dev: 2 of 2 texts were trained on too, of other recordings" in found["why"]

    def test_other_questions(self, fresh: Rig) -> None:
        """The same sound with another question is told."""
        found = self.run(fresh, (200, "is it one ?", "one"), (500, "is it one ?", "two"))
        assert found["passed"]
        assert "dev: 1 of 2 recordings were trained on with other questions" in found["why"]

    def test_the_same_question(self, fresh: Rig) -> None:
        """Of the same sound: a failure, whatever the answer."""
        found = self.run(fresh, (200, "What is it?", "two"), (500, "is it one ?", "two"))
        assert found["passed"] is False
        assert found["why"].startswith("dev: 1 of 2 clips were trained on; other: 1")


class TestGradients:
    """When a late gradient is no fault."""

    @staticmethod
    def judged(
        fresh: Rig, later: dict[str, int], zeros: list[str], phased: int = 0, steps: int = 7
    ) -> tuple[bool | None, str]:
        """Return the verdict on a record of two tensors, the second without a gradient at first."""
        fresh.folder.joinpath("evidence.json").write_text(
            json.dumps({"gradients": {"norms": {"a": 1.0, "b": 0.0}, "later": later, "zeros": zeros}})
        )
        experiment: Any = SimpleNamespace(train=TrainConfig(steps=steps))
        found = gradients(experiment, RunFolder(fresh.folder), phased)
        return found.passed, found.why

    def test_a_partner_that_starts_at_zero(self, fresh: Rig) -> None:
        """As the B of a LoRA, whose A has to wait for it."""
        passed, why = self.judged(fresh, {"b": 2}, ["a"])
        assert passed
        late = "1 in step 2 (what they are multiplied with starts at zero: a)"
        assert why == f"1 of 2 tensors in the first step, {late}"

    def test_a_phase_of_its_own(self, fresh: Rig) -> None:
        """A tensor that the first steps leave out gets its gradient right after them, and no later."""
        assert self.judged(fresh, {"b": 6}, [], phased=5)[0]
        assert self.judged(fresh, {"b": 7}, [], phased=5)[0] is False

    def test_late_without_a_reason(self, fresh: Rig) -> None:
        """Somebody took it away in the first step."""
        passed, why = self.judged(fresh, {"b": 2}, [])
        assert passed is False
        assert why.endswith("(nothing explains why so late)")

    def test_too_soon_to_tell(self, fresh: Rig) -> None:
        """Training ended before the gradient could come."""
        passed, why = self.judged(fresh, {}, ["a"], steps=1)
        assert passed is None
        assert why.endswith("never: b, and training ended with step 1, too soon to tell")
        assert self.judged(fresh, {}, [], phased=6, steps=6)[0] is None
        assert self.judged(fresh, {}, [], steps=1)[0] is False

    def test_never(self, fresh: Rig) -> None:
        """A zero start is no excuse for ever."""
        assert self.judged(fresh, {}, ["a"]) == (False, "1 of 2 tensors in the first step; never: b")


def test_speakers_in_common_are_reported(fresh: Rig) -> None:
    """They are no overlap of clips, but the scores are not of new speakers."""
    for name, speakers in (("train", ("anna", "ben")), ("new", ("ben", "carl"))):
        table = fresh.folder / name / "metadata.csv"
        header, *rows = table.read_text(encoding="utf-8").splitlines()
        named = [f"{row},{speakers[number % 2]}" for number, row in enumerate(rows)]
        table.write_text("\n".join([f"{header},speaker", *named, ""]), encoding="utf-8")
    columns = [f'{place}.cluster_column="speaker"' for place in ("data.train", "data.eval.dev")]

    found = certificates(fresh.run(*FRESH, *columns))["no-train-eval-overlap"]

    assert found["passed"] is True
    assert found["why"].endswith("dev: speakers or groups in the training data too: ben")
