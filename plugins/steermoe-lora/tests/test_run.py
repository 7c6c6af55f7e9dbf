"""Whole runs with LoRA in the encoder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from safetensors.torch import load_file

from steermoe_core.cli.main import main
from tests.parts import DenseEncoder, TinyConfig
from tests.rig import metrics, sentence, texts, trained

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig


#: What a whole run calls it, on an encoder that has linear maps.
RUN = (
    'encoder={use="dense"}',
    'adapter={use="lora", rank=2}',
    "train.learning_rate={lora=0.1, projector=1e-2}",
)


class TestRun:
    """Whole runs."""

    def test_saves_the_matrices_alone_and_reads_them_again(self, rig: Rig) -> None:
        """`evaluate` is the ordinary one, and finds the frozen weights that a run without LoRA has."""
        run, plain = rig.run(*RUN), rig.run(RUN[0], 'adapter={use="none"}')
        before = texts(run)

        assert main(["evaluate", str(run), "--again"]) == 0
        assert texts(run) == before
        tensors = load_file(run / "adapter" / "adapter.safetensors")
        matrices = {
            f"encoder.mixers.{layer}.linear.lora_{side}.default.weight" for layer in range(3) for side in "AB"
        }
        assert set(tensors) == matrices | {"projector.map.weight", "projector.map.bias"}
        assert all(tensors[name].any() for name in tensors)
        cards = [json.loads((each / "adapter" / "adapter.json").read_text()) for each in (run, plain)]
        assert cards[0]["frozen"] == cards[1]["frozen"]
        assert cards[0]["trainable_parameters"] - cards[1]["trainable_parameters"] == 3 * 2 * 24

    def test_its_rate_is_lora(self, rig: Rig) -> None:
        """A rate of zero leaves the matrices where they started."""
        run = rig.run(*RUN[:2], "train.learning_rate={lora=0.0}")
        tensors = load_file(run / "adapter" / "adapter.safetensors")

        assert not any(tensor.any() for name, tensor in tensors.items() if "lora_B" in name)

    def test_goes_on_to_the_same_numbers(
        self, rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With dropout, interrupted after three of six steps."""
        noisy = (*RUN, "adapter.dropout=0.5")
        monkeypatch.setenv("RIG", "interrupt@3")
        rig.run(*noisy, expect=130)
        monkeypatch.delenv("RIG")
        resumed = rig.run(*noisy)
        rig.runs = tmp_path / "straight"

        assert trained(resumed) == trained(rig.run(*noisy))
        assert trained(resumed) != trained(rig.run(*RUN))

    def test_analysis_writes_the_norms(self, rig: Rig) -> None:
        """‖A‖, ‖B‖ and ‖alpha/rank · BA‖ / ‖W‖ of each map, as the saved matrices have them."""
        run = rig.run(*RUN, 'callbacks=[{use="lora-analysis", every=3}]')
        records = {row["step"]: row["lora"] for row in metrics(run) if "lora" in row}
        tensors = load_file(run / "adapter" / "adapter.safetensors")

        assert list(records) == [3, 6]
        for record in records[6]:
            name = f"encoder.mixers.{record['layer']}.{record['map']}"
            a, b = (tensors[f"{name}.lora_{side}.default.weight"] for side in "AB")
            frozen = DenseEncoder(TinyConfig()).mixers[record["layer"]].linear.weight
            assert record["a"] == pytest.approx(a.norm().item(), rel=1e-5)
            assert record["b"] == pytest.approx(b.norm().item(), rel=1e-5)
            relative = 16.0 / 2 * (b @ a).norm() / frozen.norm()
            assert record["relative"] == pytest.approx(relative.item(), rel=1e-4)

    def test_analysis_wants_lora(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """With another adapter there is nothing to analyse: told before the run, or where it begins."""
        assert main(["run", *rig.words('callbacks=[{use="lora-analysis"}]')]) == 2
        assert 'needs an adapter with lora, which adapter "steering"' in capsys.readouterr().err

        rig.run('callbacks=[{use="lora-analysis"}]', 'adapter={use="thief"}', expect=2)
        assert "watches adapter lora, and there is none; leave the callback out" in sentence(capsys)
