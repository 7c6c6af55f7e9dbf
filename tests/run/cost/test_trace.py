"""A trace counts what a real training step computes, keeps and waits for, part by part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from steermoe_core.config.resolve import resolve
from steermoe_core.model.joined import Joined
from steermoe_core.model.weights import shapes_only
from steermoe_core.plugins import load_registry
from steermoe_core.run.assembly.builder import Builder
from steermoe_core.run.cost import recording
from steermoe_core.run.cost.batch import keeps_frames, noise_batch, phases
from steermoe_core.run.cost.parts import PARTS
from steermoe_core.run.cost.recording import Wait
from steermoe_core.run.cost.trace import Trace, trace
from steermoe_core.system.hub import nothing_fetched
from tests.rig import ROOT

if TYPE_CHECKING:
    from steermoe_core.config.experiment import TrainConfig
    from steermoe_core.data.padded import Padded
    from tests.rig import Rig

SECONDS = [1.0, 0.6, 0.8]


def built(rig: Rig, *sets: str) -> tuple[Joined, TrainConfig]:
    """Return the model of an experiment, with weights, and its table [train]."""
    registry = load_registry()
    experiment = resolve(rig.file, sets, registry).experiment
    return Builder(experiment, registry).model(), experiment.train


def traced(rig: Rig, *sets: str, **options: Any) -> Trace:
    model, train = built(rig, *sets)
    return trace(model, train, noise_batch(model, SECONDS, (3, 2), 2), **options)


def flops(found: Trace, **facts: Any) -> int:
    """Return the FLOPs of the operations with these facts, attention aside."""
    return sum(
        one.flops
        for one in found.operations
        if "dot_product" not in one.name and all(getattr(one, key) == value for key, value in facts.items())
    )


@pytest.mark.parametrize("sets", [[], ['adapter={use="none"}'], ['train.recompute=["encoder", "decoder"]']])
def test_flops_are_those_of_the_real_step(rig: Rig, sets: list[str]) -> None:
    """The counter of torch says the same of a step with weights; it does not know attention on CPUs."""
    model, train = built(rig, *sets)
    batch = noise_batch(model, SECONDS, (3, 2), 2)
    found = trace(model, train, batch, optimizer=False)

    model.decoder.prefix(batch.shared_before()[:-1])  # once in a run
    with FlopCounterMode(display=False) as counter:
        model(batch, 1).backward()

    assert flops(found) == counter.get_total_flops()


def test_every_part_has_its_own(rig: Rig) -> None:
    """Forward and backward; nothing flows back into an encoder that is not steered."""
    found, plain = traced(rig), traced(rig, 'adapter={use="none"}')

    assert {one.part for one in (*found.operations, *found.optimizer)} == set(PARTS)
    assert {one.part for one in found.operations if one.backward} == set(PARTS) - {"optimizer"}
    assert {one.part for one in plain.operations if one.backward} == {"projector", "decoder", "loss"}
    assert "adapter" not in {one.part for one in plain.operations}
    for part in ("encoder", "projector", "decoder"):
        assert flops(found, part=part, backward=False) == flops(plain, part=part, backward=False) > 0


def test_bytes_are_read_and_written(rig: Rig) -> None:
    """A matrix product reads two matrices and writes one; a row of the embedding table is read, not all."""
    found = traced(rig, 'adapter={use="none"}')
    width, (positions, _) = 16, found.positions["decoder"]

    rows = [one.bytes for one in found.operations if one.name == "embedding"]
    assert 2 * 4 * width < rows[0] < 3 * 4 * width * positions
    products = [one for one in found.operations if one.name in ("mm", "addmm")]
    assert all(one.bytes >= one.flops / 64 for one in products)
    assert not {one.name for one in found.operations} & {"view", "t", "expand", "empty", "detach"}


def test_a_recomputed_part_computes_twice(rig: Rig) -> None:
    """Its forward pass runs again in the backward pass, as that part's."""
    plain, again = traced(rig), traced(rig, 'train.recompute=["encoder"]')

    def calls(found: Trace, part: str, *, backward: bool) -> int:
        return sum(one.part == part and one.backward == backward for one in found.operations)

    for part in ("encoder", "adapter"):
        extra = calls(again, part, backward=True) - calls(plain, part, backward=True)
        assert 0 < extra <= calls(plain, part, backward=False)
    assert calls(again, "decoder", backward=True) == calls(plain, "decoder", backward=True)
    assert again.kept < plain.kept


def test_a_prefix_is_computed_once_in_a_run(rig: Rig) -> None:
    """It is in no step, and the next trace finds it."""
    model, train = built(rig, 'collator.template="{prompt}{audio}"')
    first, second = (trace(model, train, noise_batch(model, SECONDS, (9, 0), 2)) for _ in range(2))

    assert first.operations == second.operations
    assert first.kept == second.kept


def test_padding_is_what_the_towers_compute_in_vain(rig: Rig) -> None:
    """Frames beyond a clip's end, positions beyond a row's."""
    found = traced(rig)

    assert found.positions["encoder"] == (24, 30)  # 10 frames a second of three clips
    real, computed = found.positions["decoder"]
    assert 0 < real < computed


def test_waits_of_the_host_are_counted(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a number or a list of the device, and sending one to it."""
    before, frames = traced(rig).syncs, Joined.frames

    def asking(self: Joined, features: Padded) -> Padded:
        int(features.lengths.max())
        features.lengths.tolist()
        torch.tensor([1], device=features.values.device)
        torch.tensor([1])  # the host's own
        return frames(self, features)

    monkeypatch.setattr(Joined, "frames", asking)
    after = traced(rig).syncs

    more = {key: count - before.get(key, 0) for key, count in after.items()}
    assert {key: count for key, count in more.items() if count} == {
        Wait("_local_scalar_dense", "loss", backward=False): 1,
        Wait("tolist", "loss", backward=False): 1,
        Wait("tensor", "loss", backward=False): 1,
    }


def test_a_step_waits_for_nothing(rig: Rig) -> None:
    """Lengths are known on the host, and token ids are sent without a wait; packed rows, too."""
    assert not traced(rig).syncs
    assert not traced(rig, 'train.packing=["decoder"]').syncs


def test_a_model_keeps_its_values_and_its_methods(rig: Rig) -> None:
    """Also after a part failed."""
    model, train = built(rig)
    values = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for tower in (model.encoder, model.decoder):
        tower.recompute = tower.packing = False
        tower.fuse = None
    own = {module: set(vars(module)) for module in model.modules()}
    batch = noise_batch(model, SECONDS, (3, 2), 2)

    trace(model, train, batch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording, "flops_of", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            trace(model, train, batch)

    assert all(torch.equal(tensor, values[name]) for name, tensor in model.state_dict().items())
    assert {module: set(vars(module)) for module in model.modules()} == own
    assert model.encoder.fuse is model.decoder.fuse is None


def test_kept_frames_need_no_encoder(rig: Rig) -> None:
    """A step that reads them from disk does not compute them."""
    model, train = built(rig, 'adapter={use="none"}', "train.keep_frames=true")
    assert keeps_frames(model, train)

    found = trace(model, train, noise_batch(model, SECONDS, (3, 2), 2, kept=True))

    assert "encoder" not in {one.part for one in found.operations}


def test_frames_kept_below_a_steered_layer(rig: Rig) -> None:
    """The layers below it cost nothing; those above it, and all parts behind them, what they always cost."""
    sets = ["encoder.layers=3", "adapter.layers=[2]", "train.keep_frames=true"]
    model, train = built(rig, *sets)
    assert keeps_frames(model, train)

    kept, whole = (
        trace(model, train, noise_batch(model, SECONDS, (3, 2), 2, kept=kept)) for kept in (True, False)
    )

    forward = {"part": "encoder", "backward": False}
    (layer,) = {one.flops for one in kept.operations if one.name == "convolution" and not one.backward}
    assert flops(kept, **forward) == layer
    assert flops(whole, **forward) > 3 * layer
    for part in ("adapter", "projector", "decoder"):
        assert flops(kept, part=part) == flops(whole, part=part)
    assert kept.positions == whole.positions


def test_frames_that_the_first_layer_needs_are_not_kept(rig: Rig) -> None:
    """An adapter that changes the first layer leaves nothing to keep."""
    assert not keeps_frames(*built(rig, "adapter.layers=[0]", "train.keep_frames=true"))


def test_phases_without_the_language_model(rig: Rig) -> None:
    """The projector's own loss alone: nothing of the decoder is computed."""
    sets = 'projector={use="soft-ctc", start_steps=2}'
    model, train = built(rig, sets)

    assert phases(model, train) == pytest.approx({True: 2 / 3, False: 1 / 3})
    parts = {one.part for one in traced(rig, sets, language_model=False).operations}
    assert "decoder" not in parts
    assert "projector" in parts


def test_memory_at_full_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whisper-large-v3, steered, and Qwen2.5-0.5B: within 10 % of what autograd saves."""
    registry = load_registry()
    file = ROOT / "experiments" / "paper" / "whisper_layer_wise_librispeech_0.5b.toml"
    experiment = resolve(file, [], registry).experiment
    with nothing_fetched(), shapes_only():
        model = Builder(experiment, registry).model()
    own: set[int] = set()
    saved: dict[int, int] = {}
    numbers = recording.Shapes.numbers

    def watched(self: Any, step: Any) -> dict[str, torch.Tensor]:
        fakes = numbers(self, step)
        own.update(recording.place_of(one) for one in fakes.values())
        return fakes

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved[recording.place_of(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    monkeypatch.setattr(recording.Shapes, "numbers", watched)
    batch = noise_batch(model, [12.0, 8.0], (0, 11), 0)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        found = trace(model, experiment.train, batch, optimizer=False)
    activations = sum(size for place, size in saved.items() if place not in own)

    assert found.kept == pytest.approx(activations, rel=0.1)
    assert found.kept > 2**30
