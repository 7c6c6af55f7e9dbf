"""Certificates: all of them hold on an honest run, and each fails for the one thing that it is about."""

from __future__ import annotations

import json
import shutil
import signal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from steermoe_core.config.experiment import TrainConfig
from steermoe_core.evaluate.invariance import Invariance
from steermoe_core.plugins import load_registry
from steermoe_core.run.certify.certify import certify_run
from steermoe_core.run.certify.from_record import gradients
from steermoe_core.run.console import Console
from steermoe_core.run.folder.run_folder import RunFolder
from tests.parts import QFormer
from tests.rig import status
from tests.tiny import write_folder, write_table, write_wav

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig

NAMES = [
    "frozen-stayed-frozen",
    "text-only-bit-identical",
    "batch-invariance",
    "every-tensor-got-gradient",
    "whole-splits",
    "no-train-eval-overlap",
]
#: Nothing in it is trained on: neither its words nor its sounds.
FRESH = ('data.eval.dev.path="new"', 'data.eval.other.path="new"')
TEXTS = ["please transcribe", "what is it", "the text", "content"]
BF16 = 'decoder.dtype="bfloat16"'
SIGMOID = 'adapter.router={use="sigmoid"}'
Q_FORMER = 'projector={use="q-former"}'


@pytest.fixture
def fresh(rig: Rig) -> Rig:
    """Return a rig that scores what it does not train on."""
    write_new(rig)
    return rig


def write_new(rig: Rig, *texts: str) -> None:
    """Write what is scored, with other texts where they are given."""
    shutil.rmtree(rig.folder / "new", ignore_errors=True)
    write_folder(rig.folder / "new", texts or TEXTS, [1.2, 0.9, 0.6, 1.7][: len(texts or TEXTS)])


def certificates(run: Path) -> dict[str, dict[str, Any]]:
    """Return certificates.json by name."""
    found = json.loads((run / "certificates.json").read_text())
    assert found.keys() == {"format", "certificates", "made", "seconds"}
    return {one["name"]: one for one in found["certificates"]}


def failed(run: Path) -> dict[str, str]:
    """Return why certificates fail."""
    return {name: one["why"] for name, one in certificates(run).items() if one["passed"] is False}


def again(run: Path) -> dict[str, dict[str, Any]]:
    """Measure the certificates of a finished run anew."""
    certify_run(run, load_registry(), Console(quiet=True))
    return certificates(run)


def test_an_honest_run_has_them_all(fresh: Rig) -> None:
    """Each is a claim with a verdict, a reason and figures; measuring again gives the same."""
    run = fresh.run(*FRESH)

    found = certificates(run)

    assert list(found) == NAMES
    assert [one["passed"] for one in found.values()] == [True] * len(NAMES)
    assert all(one["claim"].endswith(".") and one["why"] and one["measured"] for one in found.values())
    assert all(one["command"] == f"steermoe certify {run}" for one in found.values())
    hashes = found["frozen-stayed-frozen"]["measured"]
    assert len(hashes) == 5
    assert all(one == hashes["in_adapter.json"] for one in hashes.values())
    assert found["batch-invariance"]["measured"]["bound"] == 1e-5
    assert len(found["batch-invariance"]["measured"]["clips"]) == 4
    assert found["every-tensor-got-gradient"]["measured"]["norms"].keys() == {
        *(f"adapter.{name}" for name in ("vectors", "scales", "router.weight", "router.bias")),
        *(f"projector.map.{name}" for name in ("weight", "bias")),
    }
    assert found["whole-splits"]["measured"]["splits"]["dev"]["scored"] == 4
    assert found["no-train-eval-overlap"]["measured"]["trained"] == 10
    assert again(run) == found


@pytest.mark.parametrize(
    ("name", "why", "sets"),
    [
        (
            "frozen-stayed-frozen",
            "other frozen weights: encoder (after use)",
            ['adapter={use="night-thief"}'],
        ),
        (
            "text-only-bit-identical",
            "the logits of 4 of 4 texts differ, by up to",
            ['projector={use="meddler"}'],
        ),
        ("batch-invariance", "4 clips alone and together: loss differs by", ['encoder={use="crowd"}']),
        ("batch-invariance", "(bound 1e-05)", ['encoder={use="crowd"}', BF16]),
        ("batch-invariance", "; in fp64 loss differs by", ['projector={use="leaky-q-former"}', SIGMOID]),
        ("batch-invariance", "(bound 1e-05)", ['projector={use="leaky-q-former"}', SIGMOID, BF16]),
        (
            "every-tensor-got-gradient",
            "4 of 6 tensors in the first step; never: adapter.router.weight, adapter.router.bias",
            ['callbacks={use="numb"}'],
        ),
        (
            "no-train-eval-overlap",
            "dev: 4 of 4 clips were trained on; other: 4 of 4 clips were trained on",
            ['data.train.path="new"'],
        ),
    ],
)
def test_each_fails_for_its_own_reason(
    fresh: Rig, capsys: pytest.CaptureFixture[str], name: str, why: str, sets: list[str]
) -> None:
    """The run is finished all the same, says it loudly, and the other certificates hold."""
    run = fresh.run(*FRESH, *sets)

    found = failed(run)
    assert list(found) == [name]
    assert why in found[name]
    assert status(run)["state"] == "finished"
    assert f"CERTIFICATE FAILED: {name}: " in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("sets", [[BF16], [SIGMOID, Q_FORMER, BF16, 'train.precision="bf16"']])
def test_rounding_is_no_failure(fresh: Rig, sets: list[str]) -> None:
    """The order of sums in half precision shows more or less, as the parts are; no batch is to blame."""
    found = certificates(fresh.run(*FRESH, *sets))

    assert [one["passed"] for one in found.values()] == [True] * len(NAMES)


def test_a_doubt_is_decided_in_fp64(fresh: Rig) -> None:
    """Where fp32 adds up to more than 1e-5, fp64 tells whether it is rounding."""
    batch = certificates(fresh.run(*FRESH, SIGMOID, Q_FORMER))["batch-invariance"]

    assert batch["measured"]["logits"] > 1e-5
    assert batch["measured"]["fp64"]["logits"] < 1e-12
    assert "; in fp64 loss differs by " in batch["why"]


class TestWithoutFp64:
    """Where a part cannot compute in fp64, its precision's own rounding is the bound, and a tie is a tie."""

    @pytest.fixture(autouse=True)
    def no_fp64(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have no memory for it."""
        monkeypatch.setattr("steermoe_core.run.certify.from_model.available", lambda: 0)

    @pytest.mark.parametrize(("sets", "bound"), [([], 1e-4), ([BF16], 0.0625)])
    def test_the_bound_is_that_of_the_precision(
        self, fresh: Rig, monkeypatch: pytest.MonkeyPatch, sets: list[str], bound: float
    ) -> None:
        """Beside it, a text that differs is a failure unless rounding decides between two tokens."""
        run = fresh.run(*FRESH, *sets)

        def judged(**figures: Any) -> tuple[bool | None, str]:
            facts = {"loss": 0.0, "logits": 0.9 * bound, "largest": 10.0, "texts": [], "ties": [], **figures}
            found = Invariance(clips=["a", "b"], seconds=(1.0, 2.0), **facts)
            monkeypatch.setattr("steermoe_core.run.certify.from_model.invariance", lambda *_: found)
            one = again(run)["batch-invariance"]
            assert (one["measured"]["bound"], one["measured"]["fp64"]) == (bound, None)
            return one["passed"], one["why"]

        assert judged()[0]
        assert judged(logits=1.1 * bound)[0] is False
        passed, why = judged(texts=["a"], ties=["a"])
        assert passed
        assert f"1 of 2 texts differ at a tie (bound {bound:g})" in why
        assert judged(texts=["a"])[0] is False

    @pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
    def test_a_leak_is_larger(self, fresh: Rig, dtype: str) -> None:
        """One that a batch shows is found without fp64."""
        run = fresh.run(*FRESH, 'encoder={use="crowd"}', f'decoder.dtype="{dtype}"')

        assert list(failed(run)) == ["batch-invariance"]


def test_a_part_that_insists_on_its_precision(fresh: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it cannot compute in fp64 is measured as it is."""
    look = QFormer.forward
    monkeypatch.setattr(
        QFormer, "forward", lambda self, frames, *more: look(self, frames.to("cpu", torch.float32), *more)
    )
    run = fresh.run(*FRESH, Q_FORMER, BF16)

    assert not failed(run)
    assert certificates(run)["batch-invariance"]["measured"]["fp64"] is None


def test_a_split_that_is_not_whole(fresh: Rig) -> None:
    """A line that is gone, a line twice, scores that are gone, data that changed: each is counted."""
    run = fresh.run(*FRESH)
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


def test_what_cannot_be_asked_says_why(fresh: Rig) -> None:
    """No record of the training, no training data, no two clips: none of them is a failure."""
    run = fresh.run(*FRESH)
    (run / "evidence.json").unlink()
    write_new(fresh, "audio")
    (fresh.folder / "train" / "metadata.csv").unlink()

    found = {name: one["why"] for name, one in again(run).items() if one["passed"] is None}

    assert found["batch-invariance"] == "no split has two clips whose references fit"
    assert "evidence.json is lost" in found["every-tensor-got-gradient"]
    assert found["no-train-eval-overlap"].startswith("the training data is not here: ")


def test_other_weights_than_the_run_began_with(fresh: Rig) -> None:
    """lock.json says which they were."""
    run = fresh.run(*FRESH)
    lock = json.loads((run / "lock.json").read_text())
    lock["frozen"]["decoder"] = "0" * 64
    (run / "lock.json").write_text(json.dumps(lock))

    found = again(run)["frozen-stayed-frozen"]

    assert (found["passed"], found["why"]) == (False, "other frozen weights: decoder (before training)")


def test_an_interrupted_run_has_the_same_certificates(fresh: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first process saw of gradients is kept for the second."""
    monkeypatch.setenv("RIG", "interrupt@3")
    run = fresh.run(*FRESH, expect=130)
    monkeypatch.delenv("RIG")
    seen = json.loads((run / "evidence.json").read_text())["gradients"]

    fresh.run(*FRESH)

    assert not failed(run)
    assert json.loads((run / "evidence.json").read_text())["gradients"] == seen


def test_a_killed_run_that_was_resumed_has_them_all(fresh: Rig) -> None:
    """After kill -9 in training, and again while it was scored."""
    for what in ("kill@5", "kill_while_scoring@6"):
        process = fresh.process(*FRESH, RIG=what)
        process.communicate()
        assert process.returncode == -signal.SIGKILL

    run = fresh.run(*FRESH)

    assert [one["passed"] for one in certificates(run).values()] == [True] * len(NAMES)


def test_a_run_that_is_not_scored_yet(fresh: Rig) -> None:
    """It has its adapter and its certificates; what is missing is no failure."""
    fresh.process(*FRESH, RIG="kill_while_scoring@6").communicate()

    found = again(fresh.path(*FRESH))

    assert found["whole-splits"]["passed"] is None
    assert found["whole-splits"]["why"].startswith("dev: it is not scored yet; finish the run; other: ")
    assert all(one["passed"] for name, one in found.items() if name != "whole-splits")


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

    def test_lines_that_are_missing_are_a_failure_all_the_same(self, fresh: Rig) -> None:
        """Predictions and scores are compared without the data, too."""
        run = fresh.run(*FRESH)
        path = run / "evaluations" / "dev" / "predictions.jsonl"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
        (fresh.folder / "new").rename(fresh.folder / "away")

        found = again(run)["whole-splits"]

        assert found["passed"] is False
        assert "dev: scores.json counts 4 clips, predictions.jsonl 3; dev: the data is not" in found["why"]

    def test_of_training(self, fresh: Rig) -> None:
        """What is there now says nothing of what was trained on."""
        run = fresh.run(*FRESH)
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
