"""`steermoe ask`: questions about sounds in, answers out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import steermoe_core
from steermoe_core.cli.main import main
from steermoe_core.errors import DataError, UsageError
from tests.rig import sentence
from tests.tiny import sine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig

QUESTIONS = ("what is it ?", "is it one ?")


def test_questions(rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One answer is a line by itself; several say which they are; each is that of `transcribe --prompt`."""
    one, two = (str(rig.folder / "dev" / name) for name in ("000.wav", "001.wav"))
    answers = {}
    for question in QUESTIONS:
        assert main(["transcribe", str(finished), one, two, "--prompt", question]) == 0
        for line in capsys.readouterr().out.splitlines():
            answers[line.partition(": ")[0], question] = line.partition(": ")[2]

    assert main(["ask", str(finished), one, QUESTIONS[0]]) == 0
    said = capsys.readouterr()
    assert said.out == answers[one, QUESTIONS[0]] + "\n"
    assert f"{one}: the answer was cut at its limit (" in said.err

    flags = [word for question in QUESTIONS for word in ("--question", question)]
    assert main(["ask", str(finished), one, two, *flags]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{file}: {question}: {answers[file, question]}" for file in (one, two) for question in QUESTIONS
    ]

    assert main(["ask", str(finished), two, *flags, "--json", "--batch-size", "1"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["question"], row["answer"]) for row in rows] == [(q, answers[two, q]) for q in QUESTIONS]
    assert {key for row in rows for key in row} == {"file", "question", "answer", "stop", "seconds"}


def test_what_is_missing(rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A question, or a sound: exit code 2. A bad file: 1, after the answers to the others."""
    sound = str(rig.folder / "dev" / "000.wav")

    assert main(["ask", str(finished), sound]) == 2
    assert sentence(capsys).startswith("the question is missing: steermoe ask RUN FILE…")
    assert main(["ask", str(finished), "what is it ?"]) == 2
    assert sentence(capsys).startswith("the sound file is missing")

    assert main(["ask", str(finished), "none.wav", sound, "what is it ?", "--json"]) == 1
    said = capsys.readouterr()
    assert [json.loads(line)["file"] for line in said.out.splitlines()] == [sound]
    assert said.err.startswith("steermoe: none.wav: there is no such audio file\n")


def test_a_run_without_a_place_for_questions(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Says which template that is."""
    slotless = rig.run('collator.template="{audio}"')
    capsys.readouterr()

    assert main(["ask", str(slotless), str(rig.folder / "dev" / "000.wav"), "what is it ?"]) == 2
    assert sentence(capsys) == (
        f"{slotless} takes no question: its collator.template '{{audio}}' has no slot {{prompt}}; "
        "train a run whose template has one"
    )
    with pytest.raises(UsageError, match="takes no question"):
        steermoe_core.load(slotless).ask(sine(0.5), "what is it ?")


def test_from_python(finished: Path) -> None:
    """One answer, to a question about a sound as a whole."""
    model = steermoe_core.load(finished)

    assert model.ask(sine(0.5), "what is it ?") == model.transcribe([sine(0.5)], "what is it ?")[0]
    with pytest.raises(DataError, match="waveform 1 lasts more than 20 s"):
        model.ask(sine(20.5), "what is it ?")
