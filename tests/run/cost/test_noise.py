"""Random weights and noise in place of models and clips: shapes, lengths and work are those of a run."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch

from steermoe_core.config.resolve import resolve
from steermoe_core.data.padded import Padded, Pooled, Waveforms
from steermoe_core.plugins import load_registry
from steermoe_core.run.assembly.builder import Builder
from steermoe_core.run.console import Console
from steermoe_core.run.cost.measure import Measured, measure
from steermoe_core.run.cost.noise import NoiseBuilder, filled

if TYPE_CHECKING:
    from tests.rig import Rig


def builder(rig: Rig, *sets: str, lengths: Any = "data") -> NoiseBuilder:
    """Return the builder of the rig's experiment."""
    registry = load_registry()
    return NoiseBuilder(resolve(rig.file, sets, registry).experiment, registry, lengths)


def measured(rig: Rig, *sets: str, noise: Any = "data") -> Measured:
    registry = load_registry()
    return measure(resolve(rig.file, sets, registry), registry, Console(quiet=True), steps=2, noise=noise)


def tensors(model: torch.nn.Module) -> dict[str, tuple[Any, ...]]:
    """Return shape, type and use of every tensor of a model."""
    return {
        name: (tensor.shape, tensor.dtype, tensor.requires_grad)
        for name, tensor in (*model.named_parameters(remove_duplicate=False), *model.named_buffers())
    }


def test_the_model_is_that_of_the_experiment(rig: Rig) -> None:
    """In shapes, types and what is trained; its values are finite and differ."""
    registry = load_registry()
    own = Builder(resolve(rig.file, [], registry).experiment, registry).model()

    model = builder(rig).model()

    assert tensors(model) == tensors(own)
    assert all(tensor.isfinite().all() for tensor in model.parameters())
    assert model.encoder.first.weight.std() > 0  # type: ignore[union-attr]


def test_shared_tensors_stay_shared() -> None:
    """A head that is its embedding is in memory once, and buffers that are variances are not negative."""
    with torch.device("meta"):
        table, head, norm = (
            torch.nn.Embedding(5, 3),
            torch.nn.Linear(3, 5, bias=False),
            torch.nn.BatchNorm1d(3),
        )
        head.weight = table.weight
        model = torch.nn.ModuleList([table, head, norm])

    filled(model, "cpu")  # type: ignore[arg-type]

    assert head.weight is table.weight
    assert not table.weight.is_meta
    assert (norm.running_var >= 0).all()  # type: ignore[operator]


def test_batches_are_as_long_as_the_clips(rig: Rig) -> None:
    """Each clip's features and audio tokens; answers are the same in every epoch, and end with one token."""
    found = builder(rig)
    model = found.model()
    examples, report = found.train_examples(None)
    collator = found.collator(model)

    batch = collator([examples[0], examples[1]])
    again = collator([examples[1], examples[0]])

    frames = [model.encoder.frames(round(one.seconds * 16_000)) for one in (examples[0], examples[1])]
    assert batch.features.host_lengths.tolist() == frames
    assert batch.ids == (examples[0].id, examples[1].id)
    assert batch.answer.rows()[0].equal(again.answer.rows()[1])
    assert report.kept == len(examples)
    assert collator.prompt_lengths() == Builder.collator(found, model).prompt_lengths()


@pytest.mark.parametrize(
    ("sets", "kind"),
    [
        ((), Padded),
        (('adapter={use="none"}', "train.keep_frames=true"), Pooled),
    ],
)
def test_batches_have_what_training_reads(rig: Rig, sets: tuple[str, ...], kind: type) -> None:
    """Features of the encoder, or frames as if they were kept on disk."""
    found = builder(rig, *sets)
    collator = found.collator(found.model())
    examples, _ = found.train_examples(None)

    assert type(collator([examples[0]]).features) is kind


def test_features_may_be_computed_on_the_device(rig: Rig) -> None:
    """The batch has waveforms, then."""
    found = builder(rig)
    examples, _ = found.train_examples(None)

    batch = found.collator(found.model(), Waveforms.of)([examples[0]])

    assert isinstance(batch.features, Waveforms)
    assert batch.features.host_lengths.tolist() == [round(examples[0].seconds * 16_000)]


def test_published_lengths_need_no_data(rig: Rig) -> None:
    """Clips longer than the experiment allows are left out."""
    shutil.rmtree(rig.folder / "train")

    examples, report = builder(rig, "data.max_seconds=14", lengths="librispeech").train_examples(20.0)

    assert 10 < max(examples.durations()) <= 14
    assert report.total == len(examples)


def test_a_step_takes_what_that_of_a_run_takes(rig: Rig) -> None:
    """The same clips, frames and memory; the augmentation of the clips is left out."""
    real = measured(rig, noise=None)

    found = measured(rig, 'augment=[{use="wobble"}]')

    assert (found.steps, found.clips) == (real.steps, real.clips)
    assert found.audio_seconds == pytest.approx(real.audio_seconds)
    assert set(found.shares) == set(real.shares)
    assert found.padding["encoder"] == pytest.approx(real.padding["encoder"])


def test_an_adapter_lends_its_shapes(rig: Rig) -> None:
    """An experiment that starts from a trained one is measured without its weights."""
    trained = rig.run("train.steps=2") / "adapter"
    found = measured(rig, f'adapter="{trained}"')

    assert found.steps == 2
