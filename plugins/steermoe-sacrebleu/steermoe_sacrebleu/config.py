"""Settings of BLEU and chrF; cheap to import."""

from __future__ import annotations

from typing import Literal

import attrs
from attrs.validators import ge


@attrs.frozen(kw_only=True)
class BleuConfig:
    """BLEU: the geometric mean of the precisions of n-grams up to 4, with a brevity penalty.

    :param tokenize: how sacrebleu splits a text into tokens: `13a` or `intl` for languages with spaces, `zh`
        for Chinese, `char` into characters, `none` at spaces only.
    :param lowercase: whether case is ignored.
    """

    tokenize: Literal["13a", "intl", "zh", "char", "none"] = "13a"
    lowercase: bool = False


@attrs.frozen(kw_only=True)
class ChrfConfig:
    """F-score of character n-grams up to 6 that counts recall twice.

    :param word_order: longest n-gram of words that counts as well; 0 is chrF, 2 is chrF++.
    :param lowercase: whether case is ignored.
    """

    word_order: int = attrs.field(default=0, validator=ge(0))
    lowercase: bool = False
