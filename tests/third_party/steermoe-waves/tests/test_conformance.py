"""What every encoder of steermoe promises, of both families."""

from __future__ import annotations

from conftest import save

from steermoe_core.testing import EncoderSuite


class TestHubert(EncoderSuite):
    """Random HuBERT weights."""

    component = "waves"

    def settings(self, folder):
        return {"weights": save(folder, "hubert"), "max_seconds": 5.0}


class TestWav2Vec2(EncoderSuite):
    """Random wav2vec 2.0 weights."""

    component = "waves"

    def settings(self, folder):
        return {"weights": save(folder, "wav2vec2"), "max_seconds": 5.0}
