"""Settings of the scenes; cheap to import."""

from __future__ import annotations

from typing import Literal

import attrs
from attrs.validators import ge

from steermoe_clothoaqa.config import QuestionsConfig


@attrs.frozen(kw_only=True)
class ScenesConfig(QuestionsConfig):
    """Sound scenes of two to seven seconds, six questions each, and three annotators who disagree at times.

    :param split: the part that is taken; no sound of one is in another.
    :param ask: `questions`, which the annotators answered, or `captions`: one request a clip to say what is
        heard in order, with the true answer; to train on beside the questions.
    :param seed: another seed makes other scenes, in a folder of their own.
    """

    split: Literal["train", "val", "test"] = "train"
    ask: Literal["questions", "captions"] = "questions"
    seed: int = attrs.field(default=0, validator=ge(0))

    def __attrs_post_init__(self) -> None:
        """Check what the keys mean together."""
        if self.ask == "captions" and self.answers != "all":
            msg = "answers chooses among annotators, and a caption has none; leave it out"
            raise ValueError(msg)
