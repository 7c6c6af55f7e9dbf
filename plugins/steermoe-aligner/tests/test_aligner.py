"""The aligner adds a mixture to the encoder's frames, with or without a trained projection behind it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file

from steermoe_aligner.aligner import Aligner
from steermoe_aligner.config import AlignerConfig
from steermoe_core.cli.main import main
from steermoe_core.data.padded import Padded
from steermoe_core.model.gates import balance_loss
from tests.parts import TinyConfig, TinyEncoder, build_router, noise, router
from tests.rig import sentence, status, texts

if TYPE_CHECKING:
    from tests.rig import Rig

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
#: What a whole run calls it: the tiny encoder has width 12, the language model 32.
ALIGNER = 'adapter={use="aligner", experts=3, start=0.5}'


@pytest.fixture(scope="module")
def encoder() -> TinyEncoder:
    """Return a tiny encoder."""
    return TinyEncoder(TinyConfig())


def aligner(encoder: TinyEncoder, **settings: Any) -> Aligner:
    """Return an aligner whose random numbers are always the same."""
    defaults = {"experts": 4, "start": 1.0, "router": router()}
    torch.manual_seed(0)
    return Aligner(AlignerConfig(**{**defaults, **settings}), encoder, build_router)


def test_computes_the_formulas(encoder: TinyEncoder) -> None:
    """Out = h + Σ_e softmax(W h + b)[e] · V[e], frame by frame; layers of the encoder are left alone."""
    adapter = aligner(encoder)
    frames = Padded(torch.randn(2, 3, encoder.width), torch.tensor([3, 2]))

    found = adapter.after(frames)

    for frame, out in zip(frames.values.flatten(0, 1), found.values.flatten(0, 1), strict=True):
        gates = (adapter.router.weight[0].double() @ frame.double() + adapter.router.bias[0]).softmax(-1)
        expected = frame + sum(
            g * vector for g, vector in zip(gates.tolist(), adapter.vectors[0], strict=True)
        )
        torch.testing.assert_close(out, expected, **CLOSE)
    assert found.lengths is frames.lengths
    assert adapter.tap(1, frames) is frames
    assert adapter.first_layer is None


def test_no_graph_in_the_encoder(encoder: TinyEncoder) -> None:
    """Gradients end at the frames: a step costs no backward pass through the encoder."""
    adapter = aligner(encoder)

    frames = encoder(encoder.features([noise(0.8)]), adapter.tap)

    assert not frames.values.requires_grad
    assert adapter.after(frames).values.requires_grad


def test_start_zero_is_the_bare_encoder(encoder: TinyEncoder) -> None:
    """Bit by bit."""
    frames = encoder(encoder.features([noise(0.8)]))

    assert torch.equal(aligner(encoder, start=0.0).after(frames).values, frames.values)


@pytest.mark.parametrize(("experts", "count"), [(8, 20_488), (4, 10_244), (1, 1_280)])
def test_count(experts: int, count: int) -> None:
    """E·D vectors and E·D + E for the router; one expert has no router."""
    with torch.device("meta"):
        adapter = aligner(TinyEncoder(TinyConfig(width=1280)), experts=experts)

    assert sum(p.numel() for p in adapter.parameters()) == count
    assert {name for name, group in adapter.groups().items() if group} <= {"steering", "router"}


def test_balance_and_statistics_are_those_of_its_frames(encoder: TinyEncoder) -> None:
    """One record, over valid frames; the loss is that of its gates."""
    adapter = aligner(encoder, balance=0.3)
    frames = encoder(encoder.features([noise(0.4), noise(1.2, 1)]))
    adapter.watch()

    steered = adapter.after(frames)

    gates = adapter.router(frames.values, 0)
    (record,) = adapter.statistics()
    shifts = zip(steered.rows(), frames.rows(), strict=True)
    ratios = torch.cat([(after - before).norm(dim=-1) / before.norm(dim=-1) for after, before in shifts])
    assert (record["layer"], record["scale"]) == ("after", 1.0)
    assert record["load"] == pytest.approx(gates[frames.mask].mean(0).tolist(), abs=1e-5)
    assert record["relative_norm"] == pytest.approx(ratios.mean().item(), abs=1e-4)
    torch.testing.assert_close(adapter.penalty(), 0.3 * balance_loss(gates, frames.mask))
    assert adapter.penalty() is None


class TestRun:
    """Whole runs: the two shapes of the model, and both kinds of projection."""

    def test_with_a_trained_projection(self, rig: Rig) -> None:
        """Bank and projection are trained, saved, read again and scored alike."""
        run = rig.run(ALIGNER)
        before = texts(run)

        assert main(["evaluate", str(run), "--again"]) == 0
        assert texts(run) == before
        tensors = load_file(run / "adapter" / "adapter.safetensors")
        assert {name: tuple(t.shape) for name, t in tensors.items()} == {
            "adapter.vectors": (1, 3, 12),
            "adapter.router.weight": (1, 3, 12),
            "adapter.router.bias": (1, 3),
            "projector.map.weight": (32, 12),
            "projector.map.bias": (32,),
        }
        scores = json.loads((run / "evaluations" / "dev" / "scores.json").read_text())
        assert [row["layer"] for row in scores["steering"]] == ["after"]

    def test_without_a_projection(self, rig: Rig) -> None:
        """An encoder as wide as the language model needs none: the bank alone is trained."""
        run = rig.run(ALIGNER, "encoder.width=32", 'projector={use="identity"}')

        assert status(run)["state"] == "finished"
        names = set(load_file(run / "adapter" / "adapter.safetensors"))
        assert names == {"adapter.vectors", "adapter.router.weight", "adapter.router.bias"}
        card = json.loads((run / "adapter" / "adapter.json").read_text())
        assert card["trainable_parameters"] == 3 * 32 + 3 * 32 + 3

    def test_identity_says_that_widths_differ(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """Both are named."""
        rig.run(ALIGNER, 'projector={use="identity"}', expect=2)

        assert "frames of width 12, but the language model reads vectors of width 32" in sentence(capsys)

    def test_without_a_trained_projection(self, rig: Rig) -> None:
        """A ridge start that stays: the bank alone is trained where widths differ."""
        run = rig.run(ALIGNER, 'projector={use="linear", pool={kernel=2}, start="ridge", trained=false}')

        card = json.loads((run / "adapter" / "adapter.json").read_text())
        assert card["trainable_parameters"] == 3 * 12 + 3 * 12 + 3
        assert "projector.map.weight" in card["tensors"]

    def test_hybrid_with_soft_ctc(self, rig: Rig) -> None:
        """The projector's own loss trains the bank too, before the language model has a word."""
        soft = 'projector={use="soft-ctc", start_steps=6}'
        run, zero = rig.run(ALIGNER, soft), rig.run(ALIGNER, soft, "train.learning_rate.steering=0.0")

        vectors = [
            load_file(each / "adapter" / "adapter.safetensors")["adapter.vectors"] for each in (run, zero)
        ]
        assert not torch.equal(*vectors)
