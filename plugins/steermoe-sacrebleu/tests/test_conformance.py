"""What every metric of steermoe promises."""

from __future__ import annotations

from typing import ClassVar

import pytest

from steermoe_core.testing import MetricSuite

pytest.importorskip("sacrebleu", reason="sacrebleu is not installed: pip install sacrebleu")


class TestBleu(MetricSuite):
    """Of words."""

    component = "bleu"


class TestBleuOfCharacters(MetricSuite):
    """Of characters, as for Chinese."""

    component = "bleu"
    settings: ClassVar = {"tokenize": "char"}


class TestChrf(MetricSuite):
    """Of characters."""

    component = "chrf"


class TestChrfOfWords(MetricSuite):
    """Of characters and words."""

    component = "chrf"
    settings: ClassVar = {"word_order": 2}
