"""The encoder `hf` on small random models of many families: lengths, masks, taps, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers as tf

from steermoe_conformer import hf
from steermoe_conformer.config import HfConfig
from steermoe_conformer.hf import HfEncoder
from steermoe_core.data.padded import Padded
from steermoe_core.errors import SetupError
from steermoe_core.model.weights import shapes_only
from tests.parts import noise, save_decoder, save_whisper, steering

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

#: Torch's remark on the even kernels of LASR.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")

RATE = 16_000
CLOSE = {"rtol": 1e-4, "atol": 1e-4}
SAMPLES = (1, 300, 400, 401, 560, 1_600, 2_400, 3_333, 8_000, 15_999, 16_000)
SIZE = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
WAVE = {**SIZE, "conv_dim": [16] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
MEL = {**SIZE, "subsampling_conv_channels": 8}
SQUEEZED = {**WAVE, "conv_dim": [16] * 13}
DATA2VEC = {**WAVE, "num_conv_pos_embeddings": 3, "conv_pos_kernel_size": 5}
#: An adapter behind the layers that shortens frames and gives them another width.
ADAPTER = {"add_adapter": True, "output_hidden_size": 24}

#: Model, feature extractor, whether clips are computed together.
FAMILIES = {
    "parakeet": (
        lambda: tf.ParakeetEncoder(tf.ParakeetEncoderConfig(**MEL, num_mel_bins=80)),
        lambda: tf.ParakeetFeatureExtractor(feature_size=80),
        True,
    ),
    "wav2vec2-bert": (
        lambda: tf.Wav2Vec2BertModel(tf.Wav2Vec2BertConfig(**SIZE, feature_projection_input_dim=160)),
        lambda: tf.SeamlessM4TFeatureExtractor(feature_size=80, num_mel_bins=80),
        True,
    ),
    "lasr": (
        lambda: tf.LasrEncoder(tf.LasrEncoderConfig(**MEL)),
        tf.LasrFeatureExtractor,
        True,
    ),
    "hubert, layer norm": (
        lambda: tf.HubertModel(tf.HubertConfig(**WAVE, feat_extract_norm="layer", do_stable_layer_norm=True)),
        lambda: tf.Wav2Vec2FeatureExtractor(return_attention_mask=True),
        True,
    ),
    "wav2vec2, layer norm": (
        lambda: tf.Wav2Vec2Model(tf.Wav2Vec2Config(**WAVE, feat_extract_norm="layer")),
        lambda: tf.Wav2Vec2FeatureExtractor(return_attention_mask=True),
        True,
    ),
    "hubert, group norm": (
        lambda: tf.HubertModel(tf.HubertConfig(**WAVE, feat_extract_norm="group")),
        lambda: tf.Wav2Vec2FeatureExtractor(return_attention_mask=False),
        False,
    ),
    "wav2vec2, group norm": (
        lambda: tf.Wav2Vec2Model(tf.Wav2Vec2Config(**WAVE)),
        tf.Wav2Vec2FeatureExtractor,
        False,
    ),
    "wav2vec2 with an adapter": (
        lambda: tf.Wav2Vec2Model(tf.Wav2Vec2Config(**WAVE, **ADAPTER, feat_extract_norm="layer")),
        tf.Wav2Vec2FeatureExtractor,
        False,
    ),
    "wav2vec2-bert with an adapter": (
        lambda: tf.Wav2Vec2BertModel(
            tf.Wav2Vec2BertConfig(**SIZE, **ADAPTER, feature_projection_input_dim=160)
        ),
        lambda: tf.SeamlessM4TFeatureExtractor(feature_size=80, num_mel_bins=80),
        False,
    ),
    "wav2vec2-conformer": (
        lambda: tf.Wav2Vec2ConformerModel(tf.Wav2Vec2ConformerConfig(**WAVE)),
        tf.Wav2Vec2FeatureExtractor,
        False,
    ),
    "wavlm": (lambda: tf.WavLMModel(tf.WavLMConfig(**WAVE)), tf.Wav2Vec2FeatureExtractor, False),
    "sew": (lambda: tf.SEWModel(tf.SEWConfig(**SQUEEZED)), tf.Wav2Vec2FeatureExtractor, False),
    "sew, squeezed by four": (
        lambda: tf.SEWModel(tf.SEWConfig(**SQUEEZED, squeeze_factor=4)),
        tf.Wav2Vec2FeatureExtractor,
        False,
    ),
    "sew-d": (lambda: tf.SEWDModel(tf.SEWDConfig(**SQUEEZED)), tf.Wav2Vec2FeatureExtractor, False),
    "unispeech": (
        lambda: tf.UniSpeechModel(tf.UniSpeechConfig(**WAVE)),
        tf.Wav2Vec2FeatureExtractor,
        False,
    ),
    "unispeech-sat": (
        lambda: tf.UniSpeechSatModel(tf.UniSpeechSatConfig(**WAVE)),
        tf.Wav2Vec2FeatureExtractor,
        False,
    ),
    "data2vec-audio": (
        lambda: tf.Data2VecAudioModel(tf.Data2VecAudioConfig(**DATA2VEC)),
        tf.Wav2Vec2FeatureExtractor,
        False,
    ),
}


def save(folder: Path, family: str) -> str:
    """Write a random model of a family and its feature extractor; return the folder's name."""
    model, extractor, _ = FAMILIES[family]
    with torch.random.fork_rng():
        torch.manual_seed(6)
        made = model()
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    made.save_pretrained(folder)
    extractor().save_pretrained(folder)
    return str(folder)


def build(folder: str, **config: Any) -> HfEncoder:
    """Return an encoder with its own settings."""
    return HfEncoder(HfConfig(weights=folder, **config))


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    """Return the name of each family."""
    return request.param


@pytest.fixture(scope="module")
def folder(family: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of a random model of each family."""
    torch.set_num_threads(1)
    return save(tmp_path_factory.mktemp("hf"), family)


@pytest.fixture(scope="module")
def encoder(folder: str) -> HfEncoder:
    """Return the encoder of each family."""
    return build(folder)


def waves_of(*samples: int) -> list[np.ndarray]:
    """Return clips of noise."""
    return [noise(1.0, seed)[:count] for seed, count in enumerate(samples)]


def test_offers_what_every_encoder_offers(encoder: HfEncoder, family: str) -> None:
    """Numbers are those of the model; families that would mix clips are computed clip by clip."""
    width = ADAPTER["output_hidden_size"] if "adapter" in family else SIZE["hidden_size"]
    assert (encoder.sample_rate, encoder.layers, encoder.max_seconds) == (RATE, 3, 60.0)
    assert (encoder.width, encoder.layer_width) == (width, SIZE["hidden_size"])
    assert encoder.together == FAMILIES[family][2]
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_length_law(encoder: HfEncoder) -> None:
    """Every clip gives as many frames as the law says, a very short one too."""
    frames = encoder(encoder.features(waves_of(*SAMPLES)))

    assert frames.lengths.tolist() == [encoder.frames(count) for count in SAMPLES]
    assert frames.values.shape[2] == encoder.width
    assert frames.values.shape[1] >= max(frames.lengths) > min(frames.lengths) >= 1
    assert all(row.isfinite().all() for row in frames.rows())


def test_a_clip_does_not_see_its_batch(encoder: HfEncoder) -> None:
    """Frames are those of the clip alone, whatever the padding of the batch holds and however long it is."""
    waves = waves_of(*SAMPLES)
    features = encoder.features(waves)
    rest = features.values.ndim - 2
    garbage = features.values.masked_fill(~features.mask.reshape(features.mask.shape + (1,) * rest), 50.0)
    longer = torch.nn.functional.pad(garbage, (0, 0) * rest + (0, 700), value=9.0)

    frames = encoder(Padded(longer, features.lengths))

    for wave, row in zip(waves, frames.rows(), strict=True):
        torch.testing.assert_close(row, encoder(encoder.features([wave])).values[0], **CLOSE)


def test_frames_are_the_models_own(encoder: HfEncoder, folder: str) -> None:
    """One clip gives what `AutoModel` gives for what `AutoFeatureExtractor` makes of it."""
    (wave,) = waves_of(16_000)
    model = tf.AutoModel.from_pretrained(folder).eval()
    inputs = tf.AutoFeatureExtractor.from_pretrained(folder)(wave, sampling_rate=RATE, return_tensors="pt")

    frames = encoder(encoder.features([wave]))

    with torch.no_grad():
        expected = model(**inputs).last_hidden_state[0]
    torch.testing.assert_close(frames.rows()[0], expected[: len(frames.rows()[0])], **CLOSE)


def test_layers_are_tapped_in_order(encoder: HfEncoder) -> None:
    """`tap` gets each layer's output of each clip, and what it returns goes on."""
    features = encoder.features(waves_of(4_000, 16_000))
    seen: list[int] = []

    def tap(layer: int, frames: Padded) -> Padded:
        seen.append(layer)
        assert frames.values.shape[2] == encoder.layer_width
        assert frames.lengths.max() <= frames.values.shape[1]
        return Padded(frames.values * torch.linspace(-1, 2, encoder.layer_width), frames.lengths)

    changed, plain = encoder(features, tap), encoder(features)

    assert seen == [0, 1, 2] if encoder.together else [0, 1, 2, 0, 1, 2]
    assert not torch.allclose(changed.rows()[0], plain.rows()[0], atol=1e-2)


@pytest.mark.parametrize("recompute", [False, True])
def test_gradients_pass_through_the_taps(folder: str, recompute: bool) -> None:  # noqa: FBT001
    """Steering in every layer learns the same with and without kept activations; the weights do not."""
    encoder = build(folder)
    encoder.recompute = recompute
    adapter, reference = steering(encoder), steering(encoder)
    features = encoder.features(waves_of(4_000, 16_000))

    for each in (adapter, reference):
        encoder.recompute = recompute and each is adapter
        frames = encoder(features, each.tap)
        (frames.zeroed().values * torch.linspace(-1, 1, encoder.width)).sum().backward()

    for (name, one), two in zip(adapter.named_parameters(), reference.parameters(), strict=True):
        assert one.grad is not None, name
        assert one.grad.any(), name
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-5)
    assert all(parameter.grad is None for parameter in encoder.parameters())


def test_training_mode_never_reaches_it(encoder: HfEncoder) -> None:
    """Dropout, layer drop and masking of the inputs stay off when the model around it is trained."""
    features = encoder.features(waves_of(16_000))

    before = encoder(features).values
    encoder.train()

    assert torch.equal(encoder(features).values, before)
    assert not any(module.training for module in encoder.modules())


def test_shapes_are_known_without_weights(folder: str, encoder: HfEncoder) -> None:
    """A plan counts every tensor and frame without loading one."""
    with shapes_only():
        planned = build(folder)

    assert {n: p.shape for n, p in planned.named_parameters()} == {
        n: p.shape for n, p in encoder.named_parameters()
    }
    assert all(p.device.type == "meta" for p in planned.parameters())
    assert (planned.width, planned.layers) == (encoder.width, encoder.layers)
    assert [planned.frames(count) for count in SAMPLES] == [encoder.frames(count) for count in SAMPLES]


@pytest.mark.parametrize("family", ["hubert, group norm", "wav2vec2-conformer"])
def test_clips_are_alone_for_a_reason(tmp_path: Path, family: str) -> None:
    """These models, given a padded batch and its mask, do let padding into the frames of a clip."""
    encoder = build(save(tmp_path, family))
    features = encoder.features(waves_of(4_000, 16_000))
    alone = encoder(features).rows()[0]

    encoder.together = True

    assert (encoder(features).rows()[0] - alone).abs().max() > 1e-3


def test_half_precision_stays_so(tmp_path: Path) -> None:
    """Weights in bf16 give bf16 frames."""
    encoder = build(save(tmp_path, "parakeet"), dtype="bfloat16")

    frames = encoder(encoder.features(waves_of(4_000, 16_000)), steering(encoder).tap)

    assert frames.values.dtype == torch.bfloat16


def test_models_with_a_head_lend_their_encoder(tmp_path: Path) -> None:
    """Of a whole recogniser, the audio encoder is taken."""
    inner = tf.ParakeetEncoderConfig(**MEL, num_mel_bins=80)
    tf.ParakeetForCTC(tf.ParakeetCTCConfig(encoder_config=inner.to_dict(), vocab_size=9)).save_pretrained(
        tmp_path
    )
    tf.ParakeetFeatureExtractor(feature_size=80).save_pretrained(tmp_path)

    encoder = build(str(tmp_path))

    assert type(encoder.model) is tf.ParakeetEncoder
    assert encoder.together


@pytest.mark.parametrize("squeeze", [1, 2, 3])
def test_squeezed_layers_see_fewer_frames(tmp_path: Path, squeeze: int) -> None:
    """The taps of SEW get the frames of its squeezed layers; the shortest clips are long enough for one."""
    tf.SEWModel(tf.SEWConfig(**SQUEEZED, squeeze_factor=squeeze)).save_pretrained(tmp_path)
    tf.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    encoder = build(str(tmp_path))
    seen = []

    def tap(_: int, frames: Padded) -> Padded:
        seen.append(int(frames.lengths[0]))
        return frames

    for samples in (1, 3_333):
        frames = encoder(encoder.features(waves_of(samples)), tap)
        assert seen[-1] == int(frames.lengths[0]) // squeeze >= 1


def test_a_model_that_miscounts_is_refused(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan refuses a model whose length function is wrong with the sentence of the run."""
    law = hf._law
    monkeypatch.setattr(hf, "_law", lambda *given: lambda lengths: law(*given)(lengths) + 1)

    with pytest.raises(SetupError, match=r"it gives \d+ frames for \d+ samples and says \d+"):
        build(folder)
    with shapes_only(), pytest.raises(SetupError, match=r"it gives \d+ frames for \d+ samples"):
        build(folder)


def test_whisper_is_refused(tmp_path: Path) -> None:
    """Whisper takes clips of 30 seconds only; it has an encoder of its own here."""
    with pytest.raises(SetupError, match=r"WhisperEncoder.*makes all clips equally long"):
        build(save_whisper(tmp_path))


def test_language_models_are_refused(tmp_path: Path) -> None:
    """A folder without a feature extractor holds no audio model."""
    with pytest.raises(SetupError, match="no weights at"):
        build(save_decoder(tmp_path))
