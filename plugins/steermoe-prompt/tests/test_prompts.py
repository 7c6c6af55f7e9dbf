"""A clip's own prompt comes first; among several one is drawn, the same in every run of the seed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.data.example import Example
from steermoe_core.data.padded import Padded
from steermoe_core.errors import DataError
from steermoe_prompt.collator import PromptCollator
from steermoe_prompt.config import PromptConfig
from tests.tiny import tokenizer

WORDS = tokenizer()
PROMPTS = ["what is it ?", "please transcribe", "the text"]


def features(waveforms: Any) -> Padded:
    return Padded.stack([torch.from_numpy(waveform)[:, None] for waveform in waveforms])


def collator(seed: int = 17, **settings: Any) -> PromptCollator:
    """Return a collator with three prompts, unless others are given."""
    config = PromptConfig(**{"prompts": PROMPTS, **settings})
    return PromptCollator(config, WORDS, features, seed=seed)


@pytest.fixture(autouse=True)
def silence(monkeypatch):
    """Let every clip be silence."""
    monkeypatch.setattr("steermoe_core.data.collators.load", lambda *_: np.zeros(10, np.float32))


def clips(count: int, turn: int = 0, **fields: Any) -> list[Example]:
    return [
        Example(id=f"clip-{n}", audio=Path("x"), text="one", seconds=1.0, turn=turn, **fields)
        for n in range(count)
    ]


def prompts(made: PromptCollator, examples: list[Example], **how: bool) -> list[str]:
    """Return the prompt of each clip in a batch."""
    return [WORDS.decode(row) for row in made.collate(examples, **how).after.rows()]


@given(st.integers(0, 5), st.integers(0, 5))
def test_the_draw_depends_on_seed_clip_and_turn_alone(seed, turn):
    """Not on the batch, nor on what was drawn before: a run that goes on draws what it would have drawn."""
    examples = clips(12, turn)

    together = prompts(collator(seed), examples)

    assert (
        together == [prompt for one in reversed(examples) for prompt in prompts(collator(seed), [one])][::-1]
    )


def test_every_prompt_has_its_share():
    """Over clips, over turns and over seeds."""
    over_clips = prompts(collator(), clips(300))
    over_turns = [prompts(collator(), clips(1, turn))[0] for turn in range(300)]
    over_seeds = [prompts(collator(seed), clips(1))[0] for seed in range(300)]

    for drawn in (over_clips, over_turns, over_seeds):
        assert set(drawn) == set(PROMPTS)
        assert min(Counter(drawn).values()) > 70


def test_evaluation_takes_the_first_prompt():
    """Scores do not depend on luck; what stands before the audio is then the same for all clips."""
    made = collator(template="{prompt}{audio}")
    batch = made.collate(clips(20, turn=3), answered=False)

    assert batch.shared_before() == WORDS(PROMPTS[0]).input_ids
    assert made.prompt_batch([np.zeros(10, np.float32)]).shared_before() == WORDS(PROMPTS[0]).input_ids
    assert collator(template="{prompt}{audio}").collate(clips(20)).shared_before() == []


@pytest.mark.parametrize("answered", [True, False])
def test_a_clips_own_prompt_comes_first(answered):
    """Nothing is drawn for a clip that brings one."""
    assert prompts(collator(), clips(9, prompt="is it one ?"), answered=answered) == ["is it one ?"] * 9


def test_without_prompts_the_common_one_is_taken():
    """As in the built-in layout."""
    assert prompts(collator(prompts=[], prompt="the text"), clips(2)) == ["the text"] * 2


def test_a_missing_prompt_is_told_before_training():
    """By name, where every clip has to bring one."""
    made = collator(prompts=[], required=True)
    examples = [*clips(1, prompt="what"), attrs.evolve(clips(1)[0], id="dumb")]

    for ask in (made.fitting, made.collate):
        with pytest.raises(DataError, match=r"dumb: the clip has no prompt of its own.*prompt_column"):
            ask(examples)
    assert made.fitting(examples[:1])[0] == examples[:1]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"prompts": PROMPTS, "prompt": "other"}, "prompts takes the place of prompt"),
        ({"prompts": PROMPTS, "required": True}, "each clip has its own prompt"),
        ({"prompt": "other", "required": True}, "each clip has its own prompt"),
        ({"prompts": PROMPTS, "template": "{audio}:"}, "has no slot {prompt}"),
        ({"required": True, "template": "{audio}:"}, "has no slot {prompt}"),
        ({"system": "be brief"}, 'system is for template = "chat"'),
    ],
)
def test_settings_that_cannot_be_meant_together(settings, reason):
    """A setting that would never be read is a mistake."""
    with pytest.raises(ValueError, match=reason):
        PromptConfig(**settings)


def test_a_chat_has_a_slot_for_every_prompt():
    """The template `chat` is no text without slots."""
    assert PromptConfig(template="chat", prompts=PROMPTS).prompts == PROMPTS
    assert PromptConfig(template="chat", required=True).required
