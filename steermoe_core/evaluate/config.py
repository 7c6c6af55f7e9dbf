"""Settings of the built-in metrics; cheap to import."""

from __future__ import annotations

from typing import Literal

import attrs

#: What is done to both texts before they are compared; `steermoe_core.evaluate.rules` does it.
RuleName = Literal["raw", "basic", "whisper-en", "open-asr", "zh"]


@attrs.frozen(kw_only=True)
class _Normalised:
    """Settings of a metric that compares texts by a rule."""

    normalise: RuleName = "basic"

    @property
    def requires(self) -> tuple[str, ...]:
        """Packages that these settings need."""
        return ("whisper-normalizer>=0.1.10",) if self.normalise in ("whisper-en", "open-asr") else ()


@attrs.frozen(kw_only=True)
class WerConfig(_Normalised):
    """Word error rate: substitutions, deletions and insertions over the words of the references.

    :param normalise: the rule that both texts are compared by: `raw`; `basic`: lower case, no punctuation;
        `whisper-en`: the English normaliser of OpenAI's Whisper, from package whisper-normalizer; `open-asr`:
        that, and words may be split or joined; `zh`: Chinese, of characters mixed with other words.
    """


@attrs.frozen(kw_only=True)
class CerConfig(_Normalised):
    """Character error rate: as the word error rate, of characters; a single space counts as one.

    :param normalise: the rule that both texts are compared by: `raw`; `basic`: lower case, no punctuation;
        `whisper-en`: the English normaliser of OpenAI's Whisper, from package whisper-normalizer; `open-asr`:
        that, without spaces; `zh`: Chinese, without spaces.
    """


@attrs.frozen(kw_only=True)
class ExactMatchConfig(_Normalised):
    """Share of answers that are, as a whole, the reference, or any of the references where there are several.

    :param normalise: the rule that both texts are compared by: `raw`; `basic`: lower case, no punctuation;
        `whisper-en`: the English normaliser of OpenAI's Whisper, from package whisper-normalizer; `open-asr`:
        that, without spaces; `zh`: Chinese, without spaces.
    """


@attrs.frozen(kw_only=True)
class TokenAccuracyConfig:
    """Share of places at which answer and reference have the same token, over the longer of the two."""
