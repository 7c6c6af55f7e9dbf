"""The full-size experiments: planned without a network, of exactly the published size, ready to start."""

from __future__ import annotations

import socket
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

from steermoe_core.config.flat import differing, flat
from steermoe_core.config.resolve import resolve
from steermoe_core.model.weights import shapes_only
from steermoe_core.plugins import load_registry
from steermoe_core.run.assembly.builder import Builder
from steermoe_core.run.preview.plan import Parameters, Plan, parameters, plan

PAPER = Path(__file__).parents[2] / "experiments" / "paper"
FILES = sorted(PAPER.glob("*.toml"))
TWINS = [path for path in FILES if path.stem.endswith("_true_length")]
REGISTRY = load_registry()

#: Trained numbers by experts a layer, 0 for the projection alone: L·E·D + L·E·(D+1) + L + H·(D+1), D = 1280.
COUNTS = {
    ("whisper", "0.5B"): {2: 1_311_712, 4: 1_475_616, 8: 1_803_424, 16: 2_459_040, 0: 1_147_776},
    ("whisper", "3B"): {2: 2_787_424, 4: 2_951_328, 8: 3_279_136, 16: 3_934_752, 0: 2_623_488},
    ("whisper", "7B"): {2: 4_755_040, 4: 4_918_944, 8: 5_246_752, 16: 5_902_368, 0: 4_591_104},
    ("conformer", "3B"): {2: 2_705_456, 4: 2_787_408, 8: 2_951_312, 16: 3_279_120, 0: 2_623_488},
    ("conformer", "7B"): {2: 4_673_072, 4: 4_755_024, 8: 4_918_928, 16: 5_246_736, 0: 4_591_104},
}
CASES = [(*parts, experts, count) for parts, row in COUNTS.items() for experts, count in row.items()]


@pytest.fixture(autouse=True)
def without_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let nothing connect to anything, and let no cache of the hub help."""

    def refuse(*_: object, **__: object) -> NoReturn:
        msg = "a plan asked the network"
        raise AssertionError(msg)

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@cache
def planned(name: str) -> Plan:
    """Return the plan of an experiment of this folder, for a clip of 30 seconds."""
    return plan(resolve(PAPER / name, [], REGISTRY), REGISTRY, Path("runs"), seconds=30.0)


def counted(name: str, *sets: str) -> list[Parameters]:
    """Return the numbers of an experiment's parts, as its plan counts them."""
    with shapes_only():
        return parameters(Builder(resolve(PAPER / name, sets, REGISTRY).experiment, REGISTRY).model())


def trained(found: list[Parameters]) -> dict[str, int]:
    """Return the trained numbers of each part that has any."""
    return {row.part: row.trainable for row in found if row.trainable}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_full_size_experiment_can_be_planned(path: Path) -> None:
    """Shapes, counts and memory are there; tokenizer and data, which no machine has by itself, say so."""
    found = planned(path.name)

    assert found.shapes.audio_tokens[0] == 375
    assert found.shapes.before is None
    assert sum(trained(found.parameters).values()) > 0
    assert all(row.clips is None and row.note for row in found.data)
    assert {"train", "validate"} < {row.split for row in found.data}


@pytest.mark.parametrize(("encoder", "size", "experts", "count"), CASES)
def test_trained_numbers_are_the_published_ones(encoder: str, size: str, experts: int, count: int) -> None:
    """Exactly, for both encoders, three language models, and every number of experts of the paper."""
    adapter = [f"adapter.experts={experts}"] if experts else ['adapter={use="none"}', "callbacks=[]"]
    sets = [*adapter, f'decoder.weights="Qwen/Qwen2.5-{size}-Instruct"']

    assert sum(trained(counted(f"{encoder}_layer_wise_librispeech.toml", *sets)).values()) == count


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("whisper_layer_wise_librispeech", {"adapter": 327_680 + 327_936 + 32, "projector": 4_591_104}),
        ("whisper_layer_wise_librispeech_16e", {"adapter": 1_311_264, "projector": 4_591_104}),
        ("whisper_layer_wise_librispeech_3b", {"adapter": 655_648, "projector": 2_623_488}),
        ("whisper_layer_wise_librispeech_0.5b", {"adapter": 655_648, "projector": 1_147_776}),
        ("whisper_linear_librispeech", {"projector": 4_591_104}),
        ("whisper_linear_router_librispeech", {"adapter": 655_648, "projector": 4_591_104}),
        ("whisper_lora_librispeech", {"encoder": 5_898_240, "projector": 4_591_104}),
        ("whisper_aligner_librispeech", {"adapter": 20_488}),
        ("whisper_hybrid_librispeech", {"adapter": 20_488, "projector": 4_591_104}),
        ("conformer_layer_wise_librispeech", {"adapter": 163_840 + 163_968 + 16, "projector": 4_591_104}),
        ("conformer_linear_librispeech", {"projector": 4_591_104}),
        ("conformer_clothoaqa_3b", {"adapter": 327_824, "projector": 2_623_488}),
    ],
)
def test_each_variant_trains_what_it_says(name: str, counts: dict[str, int]) -> None:
    """Part by part; nothing is counted that gets no gradient."""
    assert trained(planned(f"{name}.toml").parameters) == counts


@pytest.mark.parametrize(
    ("name", "frames", "frozen"),
    [
        ("whisper_layer_wise_librispeech", 1500, 636_968_960),
        ("conformer_layer_wise_librispeech", 750, None),
    ],
)
def test_thirty_seconds_become_375_audio_tokens(name: str, frames: int, frozen: int | None) -> None:
    """50 frames a second in windows of 4, or 25 in windows of 2: 12.5 audio tokens a second from both."""
    found = planned(f"{name}.toml")

    assert found.shapes.frames == (frames, 1280)
    assert found.shapes.audio_tokens == (375, 3584)
    counts = {row.part: row.frozen for row in found.parameters}
    assert counts["decoder"] == 7_615_616_512
    assert frozen is None or counts["encoder"] == frozen


@pytest.mark.parametrize(
    ("encoder", "lengths"), [("whisper", ""), ("whisper", "_true_length"), ("conformer", "")]
)
def test_the_ablation_differs_in_the_adapter_alone(encoder: str, lengths: str) -> None:
    """Pooling, data, steps, precision, lengths and everything else are the steered experiment's."""
    tables = [
        resolve(PAPER / f"{encoder}_{variant}_librispeech{lengths}.toml", [], REGISTRY).table
        for variant in ("layer_wise", "linear")
    ]

    rates = [table["train"].pop("learning_rate") for table in tables]  # of the groups of each
    assert rates[1].items() <= rates[0].items()
    kept = [(table["train"].pop("keep_frames"), table["train"].pop("frames_dtype")) for table in tables]
    assert kept == [(False, "float32"), (True, "bfloat16")]  # in the precision of both runs

    assert {key for key in tables[0] if tables[0][key] != tables[1].get(key)} == {
        "experiment", "adapter", "callbacks",
    }  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_frozen_weights_have_the_precision_of_the_training(path: Path) -> None:
    """No step casts them."""
    experiment = resolve(path, [], REGISTRY).experiment

    assert experiment.train.precision == "bf16"
    assert experiment.encoder.config.dtype == experiment.decoder.config.dtype == "bfloat16"


def test_little_is_trained_so_nothing_is_partitioned() -> None:
    """A small trained part leaves nothing for ZeRO's stages 1 and 2: docs/how-to/several-gpus.md."""
    assert [path.stem for path in FILES if resolve(path, [], REGISTRY).experiment.train.deepspeed] == []


@pytest.mark.parametrize("path", TWINS, ids=lambda path: path.stem)
def test_a_twin_differs_in_the_lengths_alone(path: Path) -> None:
    """Its page names both; name, input and budget are all that is its own."""
    padded = path.with_name(path.name.replace("_true_length", ""))
    page = (PAPER.parents[1] / "docs" / "how-to" / "full-size.md").read_text(encoding="utf-8")

    assert f"| `{padded.name}` | `{path.name}` |" in page
    tables = [dict(flat(resolve(file, [], REGISTRY).table)) for file in (padded, path)]
    found = differing(tables)
    name, _ = found.pop(("experiment", "name"))
    assert tables[1]["experiment", "name"] == f"{name}-true-length"
    assert found.pop(("encoder", "input")) == ["30s", "true-length"]
    assert found.keys() == {("train", "batch_seconds")}


def test_steps_are_epochs() -> None:
    """Every number of steps is the rounded-up number of batches that its file's comment says."""
    rows = {"librispeech": (28_539 + 104_014, 10), "aishell2": (1_009_223, 2), "clothoaqa": (21_132, 20)}
    for path in FILES:
        train = resolve(path, [], REGISTRY).experiment.train
        examples, epochs = next(found for name, found in rows.items() if name in path.stem)
        assert train.steps == -(-examples * epochs // clips_of_a_batch(path.stem)), path.stem


def test_budgets_are_the_papers_batches() -> None:
    """A clip that is padded costs 30 seconds; other budgets are for clips of these seconds."""
    lengths = {"librispeech": 15.0, "aishell2": 3.6, "clothoaqa": 24.5}
    for path in FILES:
        experiment = resolve(path, [], REGISTRY).experiment
        train, padded = experiment.train, getattr(experiment.encoder.config, "input", "") == "30s"
        cost = 30.0 if padded else next(found for name, found in lengths.items() if name in path.stem)
        assert train.batch_seconds // cost == clips_of_a_batch(path.stem), path.stem


def clips_of_a_batch(name: str) -> int:
    """Return the clips of a batch of the paper."""
    if "0.5b" in name:
        return 16
    if name == "conformer_clothoaqa_3b":
        return 6
    return 3 if name.startswith("conformer") else 4
