"""Whole runs on tiny parts: prompts from a column, prompts that are drawn, a run that was killed."""

from __future__ import annotations

import csv

from steermoe_core.evaluate.prediction import read
from tests.rig import metrics, trained

PROMPTS = 'collator.prompts=["what is it ?", "please transcribe", "the text"]'


def ask(folder, questions):
    """Give each clip of a folder a question, in a column `text_prompt`."""
    table = folder / "metadata.csv"
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "text_prompt"])
        writer.writeheader()
        writer.writerows({**row, "text_prompt": questions[n % len(questions)]} for n, row in enumerate(rows))


def test_drawn_prompts_train_and_go_on(rig, monkeypatch):
    """A run that stops in its second pass and goes on ends with the tensors of one that never stopped."""
    sets = ("collator.use=prompt", PROMPTS, "train.steps=12", "train.save_every=5")
    whole = rig.run(*sets)
    expected, lines = trained(whole), metrics(whole)
    one = rig.run("collator.use=prompt", 'collator.prompts=["what is it ?"]', *sets[2:])
    assert trained(one) != expected

    rig.runs = rig.runs.with_name("again")
    monkeypatch.setenv("RIG", "interrupt@7")
    rig.run(*sets, expect=130)
    monkeypatch.delenv("RIG")
    again = rig.run(*sets)

    assert trained(again) == expected
    assert metrics(again) == lines


def test_questions_from_a_column(rig):
    """Each clip is asked its own question, in training and in scoring."""
    questions = ["what is it ?", "please transcribe the text :"]
    for part in ("train", "dev"):
        ask(rig.folder / part, questions)
    sources = ("data.train", "data.eval.dev")
    columns = [f"{source}.prompt_column=text_prompt" for source in sources]
    scored = ["data.eval.other.path=dev", "data.eval.other.prompt_column=text_prompt"]

    run = rig.run("collator.use=prompt", "collator.required=true", *columns, *scored)

    rows = read(run / "evaluations" / "dev" / "predictions.jsonl")
    assert [row.prompt for row in rows] == [questions[n % 2] for n in range(len(rows))]


def test_clips_without_a_required_question(rig, capsys):
    """The run stops before its first step and names the clip."""
    rig.run("collator.use=prompt", "collator.required=true", expect=1)

    assert "the clip has no prompt of its own, and collator.required asks for one" in capsys.readouterr().err
