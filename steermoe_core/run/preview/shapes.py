"""The sizes of one clip at each stage of a model, from samples to decoder positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from steermoe_core.model.joined import Joined


@attrs.frozen(kw_only=True)
class Shapes:
    """The sizes of one clip; those of its text are None where there is no tokenizer.

    :param frames: frames and width of the encoder's output.
    :param audio_tokens: audio tokens, at most, and width of the decoder's input.
    :param before: prompt tokens before the audio.
    :param after: prompt tokens after it.
    :param positions: decoder positions of prompt and audio.
    :param context: decoder positions that the model can read.
    """

    seconds: float
    samples: int
    frames: tuple[int, int]
    audio_tokens: tuple[int, int]
    before: int | None
    after: int | None
    positions: int | None
    context: int


def shapes(model: Joined, collator: Any, seconds: float) -> Shapes:
    """Return the sizes of a clip of a number of seconds.

    :param collator: None where there is no tokenizer.
    """
    samples = round(seconds * model.encoder.sample_rate)
    frames = model.encoder.frames(samples)
    tokens = model.projector.tokens(frames)
    text = None if collator is None else collator.prompt_lengths()
    return Shapes(
        seconds=seconds,
        samples=samples,
        frames=(frames, model.encoder.width),
        audio_tokens=(tokens, model.decoder.width),
        before=text and text[0],
        after=text and text[1],
        positions=text and sum(text) + tokens,
        context=model.context,
    )
