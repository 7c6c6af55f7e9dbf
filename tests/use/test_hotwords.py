"""Hotwords: what they may change in an answer."""

from __future__ import annotations

import pytest

from steermoe_core.use.hotwords import guarded, prompted

PLAIN = "please install cooper netties on the server"


def test_they_stand_before_the_prompt() -> None:
    """One line of them."""
    assert prompted("write down: ", ["Kubernetes", "Slurm"]) == (
        "Words that may occur: Kubernetes, Slurm\nwrite down: "
    )


def test_a_similar_word_is_respelt() -> None:
    """And it alone: the rest is the answer without hotwords, with its spelling."""
    answer = "Please, install Kubernetes on that server"
    assert guarded(answer, PLAIN, ["Kubernetes"]) == "please install Kubernetes on the server"


@pytest.mark.parametrize(
    "answer",
    [
        "Kubernetes",
        "please install cooper netties on the server Kubernetes",
        "Kubernetes Kubernetes Kubernetes Kubernetes Kubernetes Kubernetes",
        "please install cooper netties on Kubernetes",
        "",
    ],
)
def test_an_echo_is_not_written(answer: str) -> None:
    """A hotword in the place of other letters, or of nothing."""
    assert guarded(answer, PLAIN, ["Kubernetes"]) == PLAIN


def test_nothing_heard_stays_nothing() -> None:
    """An answer to silence is no evidence."""
    assert guarded("Kubernetes", "", ["Kubernetes"]) == ""


def test_several_words() -> None:
    """A phrase is respelt as a whole, wherever it occurs."""
    plain = "ask steer moe or the mixture of exports"
    answer = "ask SteerMoE or the mixture of experts"
    found = guarded(answer, plain, ["SteerMoE", "mixture of experts"])
    assert found == "ask SteerMoE or the mixture of experts"
