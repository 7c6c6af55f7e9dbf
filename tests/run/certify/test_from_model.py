"""Certificates of the model: frozen weights, and clips that do not depend on their batch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch

from steermoe_core.evaluate.invariance import Invariance
from tests.parts import QFormer
from tests.run.certify.claims import BF16, FRESH, NAMES, Q_FORMER, SIGMOID, again, certificates, failed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig


@pytest.mark.parametrize("sets", [[BF16], [SIGMOID, Q_FORMER, BF16, 'train.precision="bf16"']])
def test_rounding_is_no_failure(fresh: Rig, sets: list[str]) -> None:
    """The order of sums in half precision shows more or less, as the parts are; no batch is to blame."""
    found = certificates(fresh.run(*FRESH, *sets))

    assert [one["passed"] for one in found.values()] == [True] * len(NAMES)


def test_a_doubt_is_decided_in_fp64(fresh: Rig) -> None:
    """Where fp32 adds up to more than 1e-5, fp64 tells whether it is rounding."""
    batch = certificates(fresh.run(*FRESH, SIGMOID, Q_FORMER))["batch-invariance"]

    assert batch["measured"]["logits"] > 1e-5
    assert batch["measured"]["fp64"]["logits"] < 1e-12
    assert "; in fp64 loss differs by " in batch["why"]


class TestWithoutFp64:
    """Where a part cannot compute in fp64, its precision's own rounding is the bound, and a tie is a tie."""

    @pytest.fixture(autouse=True)
    def no_fp64(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have no memory for it."""
        monkeypatch.setattr("steermoe_core.run.certify.from_model.available", lambda: 0)

    @pytest.mark.parametrize(("sets", "bound"), [([], 1e-4), ([BF16], 0.0625)])
    def test_the_bound_is_that_of_the_precision(
        self, fresh: Rig, monkeypatch: pytest.MonkeyPatch, sets: list[str], bound: float
    ) -> None:
        """Beside it, a text that differs is a failure unless rounding decides between two tokens."""
        run = fresh.run(*FRESH, *sets)

        def judged(**figures: Any) -> tuple[bool | None, str]:
            facts = {"loss": 0.0, "logits": 0.9 * bound, "largest": 10.0, "texts": [], "ties": [], **figures}
            found = Invariance(clips=["a", "b"], seconds=(1.0, 2.0), **facts)
            monkeypatch.setattr("steermoe_core.run.certify.from_model.invariance", lambda *_: found)
            one = again(run)["batch-invariance"]
            assert (one["measured"]["bound"], one["measured"]["fp64"]) == (bound, None)
            return one["passed"], one["why"]

        assert judged()[0]
        assert judged(logits=1.1 * bound)[0] is False
        passed, why = judged(texts=["a"], ties=["a"])
        assert passed
        assert f"1 of 2 texts differ at a tie (bound {bound:g})" in why
        assert judged(texts=["a"])[0] is False

    @pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
    def test_a_leak_is_larger(self, fresh: Rig, dtype: str) -> None:
        """One that a batch shows is found without fp64."""
        run = fresh.run(*FRESH, 'encoder={use="crowd"}', f'decoder.dtype="{dtype}"')

        assert list(failed(run)) == ["batch-invariance"]


def test_a_part_that_insists_on_its_precision(fresh: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it cannot compute in fp64 is measured as it is."""
    look = QFormer.forward
    monkeypatch.setattr(
        QFormer, "forward", lambda self, frames, *more: look(self, frames.to("cpu", torch.float32), *more)
    )
    run = fresh.run(*FRESH, Q_FORMER, BF16)

    assert not failed(run)
    assert certificates(run)["batch-invariance"]["measured"]["fp64"] is None


def test_other_weights_than_the_run_began_with(fresh: Rig, run: Path) -> None:
    """lock.json says which they were."""
    lock = json.loads((run / "lock.json").read_text())
    lock["frozen"]["decoder"] = "0" * 64
    (run / "lock.json").write_text(json.dumps(lock))

    found = again(run)["frozen-stayed-frozen"]

    assert (found["passed"], found["why"]) == (False, "other frozen weights: decoder (before training)")
