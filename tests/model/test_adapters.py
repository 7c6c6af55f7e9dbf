"""Every adapter with every router on more than one encoder: what must hold whatever is combined.

Adapters and routers of the distributions beside the engine are among them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from steermoe_aligner.aligner import Aligner
from steermoe_aligner.config import AlignerConfig
from steermoe_core.data.padded import Padded
from steermoe_core.train.groups import trainable_groups
from steermoe_lora.adapter import Lora
from steermoe_lora.config import LoraConfig
from steermoe_whisper.config import WhisperConfig
from steermoe_whisper.encoder import WhisperEncoder
from tests.parts import (
    DenseEncoder,
    TinyConfig,
    TinyEncoder,
    batch,
    build_router,
    joined,
    noise,
    router,
    save_whisper,
    steering,
)

if TYPE_CHECKING:
    from steermoe_core.model.adapter import Adapter
    from steermoe_core.model.encoder import Encoder

CLOSE = {"rtol": 1e-4, "atol": 1e-4}
ROUTERS = ("softmax", "topk", "shared", "shared-mixed", "linear")
ADAPTERS = [*(f"{kind} {name}" for kind in ("steering", "aligner") for name in ROUTERS), "lora"]
ENCODERS = ("tiny", "whisper 30s", "whisper true-length")
#: Layers, width and experts of Whisper-large-v3 and of FireRedASR-AED-L.
LARGE = [(layers, 1280, experts) for layers in (32, 16) for experts in (2, 4, 8, 16)]
#: Published counts of all trained numbers, projection into H dimensions included.
PUBLISHED = [
    (32, 896, 2, 1_311_712),
    (32, 896, 8, 1_803_424),
    (32, 2048, 4, 2_951_328),
    (32, 3584, 8, 5_246_752),
    (32, 3584, 16, 5_902_368),
    (16, 2048, 8, 2_951_312),
    (16, 3584, 8, 4_918_928),
    (16, 3584, 16, 5_246_736),
]


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of a random Whisper."""
    return save_whisper(tmp_path_factory.mktemp("whisper"))


def encoder_of(name: str, folder: str, *, dense: bool) -> Encoder:
    """Return a fresh encoder, for adapters put something into it."""
    if name == "tiny":
        return DenseEncoder(TinyConfig()) if dense else TinyEncoder(TinyConfig())
    return WhisperEncoder(WhisperConfig(weights=folder, input=name.split()[1]))


def adapter_of(name: str, encoder: Encoder, **settings: Any) -> Adapter:
    """Return an adapter that has left its start, with shifts big enough to be seen."""
    kind, _, routed = name.partition(" ")
    torch.manual_seed(0)
    if kind == "lora":
        adapter = Lora(LoraConfig(rank=2, **settings), encoder, build_router)
        for matrix in adapter.groups()["lora"]:
            torch.nn.init.normal_(matrix, std=0.3)
        return adapter
    if kind == "aligner":
        config = AlignerConfig(experts=4, start=1.0, router=router(routed), **settings)
        return Aligner(config, encoder, build_router)
    return steering(encoder, router=router(routed), **settings)


@pytest.mark.parametrize("encoder_name", ENCODERS)
@pytest.mark.parametrize("name", ADAPTERS)
def test_a_clip_does_not_see_its_batch(name: str, encoder_name: str, whisper: str) -> None:
    """Batch-mates and padding leave the adapted frames of every clip as they are; adapting does not."""
    encoder = encoder_of(encoder_name, whisper, dense=name == "lora")
    waves = [noise(0.31), noise(0.9, 1), noise(0.6, 2)]
    bare = encoder(encoder.features(waves)).rows()
    adapter = adapter_of(name, encoder)

    def adapted(features: Padded) -> Padded:
        return adapter.after(encoder(features, adapter.tap))

    features = encoder.features(waves)
    garbage = torch.where(features.mask[..., None], features.values, 1e2)
    longer = garbage if "30s" in encoder_name else torch.nn.functional.pad(garbage, (0, 0, 0, 3), value=9.0)
    features = features if "30s" in encoder_name else Padded(longer, features.lengths)

    for wave, row, before in zip(waves, adapted(features).rows(), bare, strict=True):
        torch.testing.assert_close(row, adapted(encoder.features([wave])).values[0], **CLOSE)
        assert not torch.allclose(row, before, atol=1e-2)


@pytest.mark.parametrize("encoder_name", ["tiny", "whisper true-length"])
@pytest.mark.parametrize("name", ADAPTERS)
def test_gradients_reach_what_is_trained_and_nothing_else(
    name: str, encoder_name: str, whisper: str, decoder_folder: str
) -> None:
    """Every tensor of the groups has a finite gradient that is not zero; no frozen tensor has one."""
    encoder = encoder_of(encoder_name, whisper, dense=name == "lora")
    model = joined(decoder_folder, adapter_of(name, encoder), encoder=encoder)

    model(batch(encoder), 9).backward()

    trained = [parameter for group in trainable_groups(model).values() for parameter in group]
    ids = {id(parameter) for parameter in trained}
    assert len(ids) == len(trained)
    for parameter_name, parameter in model.named_parameters():
        if id(parameter) in ids:
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.isfinite().all(), parameter_name
            assert parameter.grad.any(), parameter_name
        else:
            assert parameter.grad is None, parameter_name


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("name", ADAPTERS)
def test_balance_and_statistics_count_each_frame_once(name: str, recompute: bool, whisper: str) -> None:  # noqa: FBT001
    """Also where layers are computed again in the backward pass."""
    encoder = encoder_of("whisper true-length", whisper, dense=False)
    encoder.recompute = recompute
    adapter = adapter_of(name, encoder, **({} if name == "lora" else {"balance": 0.3}))
    features = encoder.features([noise(0.31), noise(0.9, 1)])

    adapter.watch()
    frames = adapter.after(encoder(features, adapter.tap))
    penalty = adapter.penalty()
    loss = frames.values.square().sum() + (0.0 if penalty is None else penalty)
    loss.backward()

    records = adapter.statistics()
    assert len(records) == {"steering": 3, "aligner": 1, "lora": 0}[name.partition(" ")[0]]
    assert adapter.penalty() is None
    assert all(0 < record["relative_norm"] < 1e3 for record in records)
    assert (penalty is None) == (name == "lora")


@pytest.mark.parametrize(("layers", "width", "experts"), LARGE)
def test_counts_of_steering(layers: int, width: int, experts: int) -> None:
    """L·E·D vectors, L·E·(D+1) for the router, L scales."""
    with torch.device("meta"):
        encoder = TinyEncoder(TinyConfig(width=width, layers=layers))
        adapter = steering(encoder, experts=experts)
    sizes = {name: sum(p.numel() for p in group) for name, group in adapter.groups().items()}

    assert sizes == {
        "steering": layers * experts * width,
        "router": layers * experts * (width + 1),
        "scales": layers,
    }


@pytest.mark.parametrize(("layers", "into", "experts", "expected"), PUBLISHED)
def test_counts_are_the_published_ones(layers: int, into: int, experts: int, expected: int) -> None:
    """With a linear projector into the language models that they were published with."""
    with torch.device("meta"):
        adapter = steering(TinyEncoder(TinyConfig(width=1280, layers=layers)), experts=experts)
        projection = torch.nn.Linear(1280, into)

    assert sum(p.numel() for part in (adapter, projection) for p in part.parameters()) == expected


def test_static_steering_counts() -> None:
    """One vector and one scale a layer."""
    with torch.device("meta"):
        adapter = steering(TinyEncoder(TinyConfig(width=1280, layers=32)), experts=1)

    assert sum(p.numel() for p in adapter.parameters()) == 32 * 1280 + 32
