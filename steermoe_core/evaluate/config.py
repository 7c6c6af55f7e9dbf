"""Settings of the built-in metrics; cheap to import."""

from __future__ import annotations

from typing import Literal

import attrs

#: What is done to both texts before they are compared.
Normalise = Literal["none", "basic", "whisper-en"]


@attrs.frozen(kw_only=True)
class WerConfig:
    """Word error rate: substitutions, deletions and insertions over the words of the references.

    :param normalise: what is done to both texts before: `none`; `basic`: lower case, no punctuation;
        `whisper-en`: the English normaliser of OpenAI's Whisper (numbers, spelling, fillers), from package
        whisper-normalizer.
    """

    normalise: Normalise = "basic"


@attrs.frozen(kw_only=True)
class CerConfig:
    """Character error rate: as the word error rate, of characters; a single space counts as one.

    :param normalise: what is done to both texts before: `none`; `basic`: lower case, no punctuation;
        `whisper-en`: the English normaliser of OpenAI's Whisper (numbers, spelling, fillers), from package
        whisper-normalizer.
    """

    normalise: Normalise = "basic"


@attrs.frozen(kw_only=True)
class ExactMatchConfig:
    """Share of answers that are, as a whole, the reference, or any of the references where there are several.

    :param normalise: what is done to both texts before: `none`; `basic`: lower case, no punctuation;
        `whisper-en`: the English normaliser of OpenAI's Whisper (numbers, spelling, fillers), from package
        whisper-normalizer.
    """

    normalise: Normalise = "basic"


@attrs.frozen(kw_only=True)
class TokenAccuracyConfig:
    """Share of places at which answer and reference have the same token, over the longer of the two."""
