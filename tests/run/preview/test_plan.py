"""A plan says what the run will be, to the number, and reads no weight for it."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers as tf
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, WhisperFeatureExtractor, WhisperModel

from steermoe_core.config.resolve import Resolved, resolve
from steermoe_core.config.text.unset import Unset
from steermoe_core.data.layout import ids
from steermoe_core.model.joined import Joined
from steermoe_core.model.known import LANGUAGE_MODELS
from steermoe_core.plugins import load_registry
from steermoe_core.run.assembly.builder import Builder
from steermoe_core.run.preview.plan import Plan, parameters, plan
from steermoe_whisper.known import MODELS
from tests.conformers import save_public
from tests.parts import noise, save_decoder, save_whisper
from tests.rig import files, sentence
from tests.tiny import DIGITS, tokenizer, write_folder

if TYPE_CHECKING:
    from steermoe_core.data.padded import Padded
    from tests.rig import Rig

#: Share by which an estimate may be wrong.
WITHIN = 0.02

VARIANTS: dict[str, list[str]] = {
    "steering": [],
    "no adapter": ['adapter={use="none"}'],
    "some layers": ["adapter.layers=[1]"],
    "mlp": ['projector={use="mlp", pool={kind="stack", kernel=3}}'],
    "prompt before the audio": ['collator.template="{prompt}{audio}"', "train.batch_size=8"],
    "batch of 32": ["train.batch_size=32"],
}


def resolved(rig: Rig, *sets: str) -> Resolved:
    """Return the experiment with some changed keys."""
    return resolve(rig.file, sets, load_registry())


def planned(rig: Rig, *sets: str, seconds: float = 3.0) -> Plan:
    """Return the plan of the experiment."""
    return plan(resolved(rig, *sets), load_registry(), rig.runs, seconds=seconds)


def forward(rig: Rig, *sets: str, seconds: float = 3.0) -> tuple[Any, Any]:
    """Return the real model and a batch of noise of that length, its answers as long as the plan assumes."""
    one = resolved(rig, *sets)
    builder = Builder(one.experiment, load_registry())
    model = builder.model()
    count = one.experiment.train.batch_size
    batch = builder.collator(model).prompt_batch([noise(seconds, seed) for seed in range(count)])
    return model, replace(batch, answer=ids([[2] * (round(4 * seconds) - 1) + [0]] * count))


def test_a_budget_is_as_many_clips_as_fit(rig: Rig) -> None:
    """The step that is measured is one of that many clips; of one for `auto`, which the run finds."""
    by_size = planned(rig, "train.batch_size=4")
    tokens = 4 * ((by_size.shapes.positions or 0) + round(4 * by_size.shapes.seconds))

    for budget in ("train.batch_seconds=13", f"train.batch_tokens={tokens}"):
        assert planned(rig, Unset("train.batch_size"), budget).memory_bytes == by_size.memory_bytes
    auto = planned(rig, Unset("train.batch_size"), 'train.batch_tokens="auto"')
    assert auto.memory_bytes == planned(rig, "train.batch_size=1").memory_bytes


@pytest.mark.parametrize("variant", VARIANTS)
def test_counts_and_shapes_are_those_of_the_real_model(rig: Rig, variant: str) -> None:
    """Parameters of each part, frames, audio tokens, prompt and positions of a real forward pass."""
    found = planned(rig, *VARIANTS[variant])
    model, batch = forward(rig, *VARIANTS[variant])

    with torch.no_grad():
        frames = model.frames(batch.features)
        audio = model.audio(batch.features)
        inputs, prefix = model.inputs(batch, audio, answered=False)

    assert found.parameters == parameters(model)
    clip = found.shapes
    assert clip.frames == (int(frames.lengths[0]), frames.values.shape[-1])
    assert clip.audio_tokens == (int(audio.lengths[0]), audio.values.shape[-1])
    assert [clip.before, clip.after] == [int(batch.before.lengths[0]), int(batch.after.lengths[0])]
    assert clip.positions == int(inputs.lengths[0]) + (prefix[0][0].shape[2] if prefix else 0)
    assert clip.context == 256


@pytest.mark.parametrize("variant", VARIANTS)
def test_memory_is_what_autograd_keeps(rig: Rig, variant: str) -> None:
    """Activations are what a real forward pass keeps for the backward pass, masks and ids aside."""
    found = planned(rig, *VARIANTS[variant]).memory_bytes
    model, batch = forward(rig, *VARIANTS[variant])

    assert found.activations == pytest.approx(kept_for_backward(model, batch), rel=WITHIN)
    assert found.backward
    assert found.backward > 0
    trained = [p for p in model.parameters() if p.requires_grad]
    assert found.trained == sum(4 * p.numel() * 4 for p in trained)
    assert found.weights == sum(
        p.numel() * p.element_size() for p in model.parameters() if not p.requires_grad
    )
    assert found.total == found.weights + found.trained + found.activations + found.backward


def kept_for_backward(model: Any, batch: Any) -> int:
    """Return the bytes of every tensor that a training step keeps for its backward pass, parameters aside."""
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(batch, int(batch.answer.lengths.sum()))
    return sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in own)


@pytest.mark.parametrize(
    ("dtype", "precision"), [("float32", "fp32"), ("bfloat16", "bf16"), ("float32", "bf16")]
)
def test_memory_holds_for_the_layers_of_published_models(rig: Rig, dtype: str, precision: str) -> None:
    """Four layers of Whisper-base and one of Qwen2.5-0.5B, at their real widths, autocast or not."""
    sets = real_layers(rig.folder, dtype, precision)
    found = planned(rig, *sets).memory_bytes
    model, batch = forward(rig, *sets)

    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        kept = kept_for_backward(model, batch)

    assert found.activations == pytest.approx(kept, rel=WITHIN)


def test_memory_knows_the_frames_that_are_computed(rig: Rig) -> None:
    """Whisper computes 30 seconds, unless it is told to take true lengths."""
    encoder = 'encoder={{use="whisper", weights="{}", input="{}"}}'
    found = {}
    for kind in ("30s", "true-length"):
        sets = encoder.format(save_whisper(rig.folder / "whisper"), kind)
        found[kind] = planned(rig, sets).memory_bytes.activations
        assert found[kind] == pytest.approx(kept_for_backward(*forward(rig, sets)), rel=WITHIN)

    assert found["30s"] > 4 * found["true-length"]


def test_memory_knows_that_clips_are_packed(rig: Rig) -> None:
    """In a row, with a prompt before the audio, in both towers."""
    whisper = save_whisper(rig.folder / "whisper")
    sets = [
        f'encoder={{use="whisper", weights="{whisper}", input="true-length"}}',
        'train.packing=["encoder", "decoder"]',
        'collator.template="{prompt}{audio}"',
    ]
    model, batch = forward(rig, *sets)
    model.encoder.packing = model.decoder.packing = True

    found = planned(rig, *sets).memory_bytes.activations

    assert found == pytest.approx(kept_for_backward(model, batch), rel=WITHIN)


def test_memory_knows_attention_scores(rig: Rig) -> None:
    """The conformer's relative positions have gradients, so its scores (T,T) are kept; others' are not."""
    encoder = f'encoder={{use="conformer", weights="{save_public(rig.folder / "conformer")}"}}'
    found = {}
    for seconds in (3.0, 12.0):
        found[seconds] = planned(rig, encoder, seconds=seconds).memory_bytes.activations
        kept = kept_for_backward(*forward(rig, encoder, seconds=seconds))
        assert found[seconds] == pytest.approx(kept, rel=WITHIN)

    assert found[12.0] > 5 * found[3.0]


@pytest.mark.parametrize("config", [tf.Wav2Vec2Config, tf.SEWConfig, tf.WavLMConfig])
def test_memory_of_any_encoder_of_transformers(rig: Rig, config: type[tf.PreTrainedConfig]) -> None:
    """Whatever its layers are called, and at whatever rate they work."""
    shape = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
    convolutions = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
    convolutions["conv_dim"] = [16] * (13 if config is tf.SEWConfig else 7)
    AutoModel.from_config(config(**shape, **convolutions)).save_pretrained(rig.folder / "model")
    tf.Wav2Vec2FeatureExtractor().save_pretrained(rig.folder / "model")
    encoder = f'encoder={{use="hf", weights="{rig.folder}/model"}}'

    found = planned(rig, encoder).memory_bytes.activations

    assert found == pytest.approx(kept_for_backward(*forward(rig, encoder)), rel=WITHIN)


def test_memory_of_soft_tokens_is_that_of_the_words_that_are_trained(rig: Rig) -> None:
    """The projector chooses among the tokens of the training answers, not among all."""
    some, every = (
        planned(rig, f'projector={{use="soft-ctc", vocabulary="{which}"}}').memory_bytes.activations
        for which in ("train", "all")
    )

    assert some < every


def test_memory_is_unknown_where_a_part_asks_for_values(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights and trained state are told all the same."""
    step = Joined.frames
    monkeypatch.setattr(Joined, "frames", lambda self, features: _asking(step(self, features)))

    found = planned(rig).memory_bytes

    assert (found.activations, found.backward, found.total) == (None, None, None)
    assert found.unknown
    assert found.weights > found.trained > 0


def _asking(frames: Padded) -> Padded:
    assert frames.values.sum() > -math.inf
    return frames


def real_layers(folder: Path, dtype: str, precision: str) -> list[str]:
    """Write an encoder and a decoder of few layers of real width; return the settings that take them."""
    language = {**LANGUAGE_MODELS["Qwen/Qwen2.5-0.5B-Instruct"], "num_hidden_layers": 1, "vocab_size": 64}
    speech = {**MODELS["openai/whisper-base"], "encoder_layers": 4, "decoder_layers": 1}
    AutoModelForCausalLM.from_config(AutoConfig.for_model(**language)).save_pretrained(folder / "qwen")
    tokenizer().save_pretrained(folder / "qwen")
    WhisperModel(AutoConfig.for_model(**speech)).save_pretrained(folder / "base")
    WhisperFeatureExtractor(feature_size=80).save_pretrained(folder / "base")
    return [
        f'encoder={{use="whisper", weights="{folder}/base", dtype="{dtype}", input="true-length"}}',
        f'decoder={{weights="{folder}/qwen", dtype="{dtype}"}}',
        f'train.precision="{precision}"',
    ]


def test_no_weight_is_read(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Garbage in the weight files of encoder and decoder changes nothing; a real run would fail."""
    decoder, encoder = rig.folder / "decoder", rig.folder / "whisper"
    save_decoder(decoder)
    save_whisper(encoder)
    sets = [f'decoder.weights="{decoder}"', f'encoder={{use="whisper", weights="{encoder}"}}']
    before = planned(rig, *sets)
    for folder in (decoder, encoder):
        (folder / "model.safetensors").write_bytes(b"garbage")

    assert planned(rig, *sets) == before
    assert before.shapes.frames == (150, 32)
    rig.run(*sets, expect=4)
    assert "are damaged (" in sentence(capsys)


def test_nothing_is_written(rig: Rig) -> None:
    """The run folder is named, not made."""
    before = files(rig.folder)

    assert planned(rig).run_folder == str(rig.path())
    assert files(rig.folder) == before


def test_data_is_what_the_run_trains_on(rig: Rig) -> None:
    """Clips after every filter, long answers included, with the reasons; whole splits for scoring."""
    write_folder(rig.folder / "train", [*DIGITS[:8], "one two three four", "nine"], [20.5, *[0.5] * 9])

    found = {row.split: row for row in planned(rig, "collator.max_answer_tokens=3").data}

    assert (found["train"].clips, found["train"].seconds) == (8, pytest.approx(4.0))
    assert "1 longer than 20 s: 000.wav" in found["train"].note
    assert "1 with answers over 3 tokens: 008.wav" in found["train"].note
    assert (found["dev"].clips, found["other"].clips) == (4, 3)


def test_parts_come_with_their_origin(rig: Rig) -> None:
    """Which distribution brings each part, and which weights it has."""
    found = planned(rig).parts

    assert [(part.kind, part.name) for part in found[:4]] == [
        ("encoder", "tiny"),
        ("adapter", "steering"),
        ("projector", "linear"),
        ("decoder", "causal-lm"),
    ]
    assert found[0].distribution == "steermoe-rig 1.0"
    assert found[3].weights.startswith("/")
    assert {part.kind for part in found[4:]} == {"collator", "dataset", "metric", "callback"}


def test_a_plan_needs_neither_weights_nor_a_tokenizer(rig: Rig) -> None:
    """A folder with a config alone: shapes and counts are whole, what the tokenizer knows is unknown."""
    before = planned(rig)
    bare = rig.folder / "bare"
    bare.mkdir()
    shutil.copy(Path(before.parts[3].weights, "config.json"), bare)

    found = planned(rig, f'decoder.weights="{bare}"')

    assert found.parameters == before.parameters
    clip = found.shapes
    assert (clip.before, clip.after, clip.positions) == (None, None, None)
    assert clip.audio_tokens == before.shapes.audio_tokens
    assert found.data[0].clips == 10
    assert "lengths of answers are unknown" in found.data[0].note


def test_data_that_is_not_here_is_a_row_with_the_reason(rig: Rig) -> None:
    """The rest of the plan stands; the other splits are read."""
    found = planned(rig, 'data.train.path="nowhere"', 'data.eval.other.path="nowhere"').data

    assert [row.clips for row in found] == [None, 4, None]
    assert [row.seconds is None for row in found] == [True, False, True]
    assert all("nowhere: there is no such folder" in found[number].note for number in (0, 2))


def test_it_is_said_which_weights_are_here(rig: Rig) -> None:
    """A folder is; a model of the hub that nobody fetched is not; a part without weights says nothing."""
    sets = ['encoder={use="whisper", weights="openai/whisper-base"}']

    assert [part.here for part in planned(rig).parts[:4]] == [None, None, None, True]
    assert planned(rig, *sets).parts[0].here is False


def test_recomputation_keeps_less(rig: Rig) -> None:
    """Of a part that is recomputed only the layers' inputs are kept; the backward pass needs more."""
    none, encoder, decoder, both = (
        planned(rig, f"train.recompute={parts}").memory_bytes
        for parts in ("[]", '["encoder"]', '["decoder"]', '["encoder", "decoder"]')
    )

    kept = [one.activations for one in (both, encoder, decoder, none)]
    assert kept[0] < min(kept[1:3])
    assert max(kept[1:3]) < kept[3]
    assert both.backward > none.backward
    assert both.total < none.total


def test_what_validates_is_checked(rig: Rig) -> None:
    """A missing metric is reported before training."""
    validate = ('data.validate={use="folder", path="dev"}', 'train.validate={every=2, metric="war"}')

    (row,) = (row for row in planned(rig, *validate).data if row.split == "validate")

    assert row.clips is None
    assert row.note.startswith('train.validate.metric is "war"; did you mean "wer"?')
