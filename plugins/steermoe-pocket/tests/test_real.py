"""The real models and recordings, where they are installed."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import jiwer
import pytest
import torch

from steermoe_core import cache_folder
from steermoe_core.data.padded import Padded
from steermoe_core.errors import SetupError
from steermoe_core.model.config import PoolConfig
from steermoe_core.model.pooling import pool
from steermoe_pocket import clips, debian, human, smollm2, whisper
from steermoe_pocket.config import SpeechConfig, WeightsConfig
from steermoe_pocket.speech import examples
from steermoe_pocket.text import spelled, unaccented
from steermoe_pocket.voices import source
from steermoe_whisper.config import WhisperConfig as Settings
from steermoe_whisper.encoder import WhisperEncoder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow

needs_recordings = pytest.mark.skipif(bool(debian.missing()), reason="the Debian packages are not installed")
USERS = cache_folder()


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use the user's cache: the real models take a while to convert."""
    monkeypatch.setenv("STEERMOE_CACHE", str(USERS))
    return USERS


@functools.cache
def opened(folder: Path) -> tuple[Any, Any]:
    """Return Whisper with its processor."""
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    return WhisperProcessor.from_pretrained(folder), WhisperForConditionalGeneration.from_pretrained(folder)


def transcribe(folder: Path, waveforms: list[Any], **options: Any) -> list[str]:
    """Return what Whisper's own decoder hears."""
    processor, model = opened(folder)
    heard = []
    for waveform in waveforms:
        features = processor(waveform, sampling_rate=16_000, return_tensors="pt").input_features
        ids = model.generate(features, **options)
        heard += processor.batch_decode(ids, skip_special_tokens=True)
    return [spelled(text) for text in heard]


@needs_recordings
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("build", "options"),
    [(whisper.whisper_tiny_en, {}), (whisper.whisper_base, {"language": "en", "task": "transcribe"})],
    ids=["tiny.en", "base"],
)
def test_whisper_transcribes_librivox(
    build: Callable[[WeightsConfig], Path], options: dict[str, str]
) -> None:
    """With its own decoder, at most one word in ten is wrong."""
    from steermoe_core.data.audio.waveform import load

    clips = human.librivox(debian.SHARE)
    heard = transcribe(build(WeightsConfig()), [load(clip.audio, 16_000) for clip in clips], **options)
    heard = [text.replace("mr ", "mister ") for text in heard]
    assert jiwer.wer([clip.text for clip in clips], heard) <= 0.10


@pytest.mark.filterwarnings("ignore")
def test_smollm2_says_paris_and_computes_as_its_gguf_file_does() -> None:
    """The plain folder is the same model: equal logits, the same tokenizer, the same answer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = smollm2.smollm2_135m_instruct(WeightsConfig())
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    question = [{"role": "user", "content": "What is the capital of France?"}]
    ids = tokenizer.apply_chat_template(
        question, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    answer = model.generate(**ids, max_new_tokens=16, do_sample=False)[0, ids["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(answer)
    with torch.no_grad():
        direct = smollm2.load_gguf(smollm2.GGUF.locate())(**ids).logits
        assert torch.equal(model(**ids).logits, direct)


@needs_recordings
def test_human_speech_is_divided_as_promised() -> None:
    """549 prompts, at least 100 for the test, about 50 for choices, and no text in two parts."""
    parts = {split: examples(SpeechConfig(split=split)) for split in ("train", "dev", "test")}
    counts = {split: len(found) for split, found in parts.items()}
    assert counts["test"] >= 100
    assert 35 <= counts["dev"] <= 65
    assert sum(counts.values()) == 549
    heard = [{spelled(example.text) for example in found} for found in parts.values()]
    assert sum(len(texts) for texts in heard) == len(set.union(*heard))


@needs_recordings
def test_numbers_are_composed_of_human_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every number word has its recording."""
    monkeypatch.setenv("STEERMOE_CACHE", str(tmp_path))
    found = examples(SpeechConfig(source="digits", split="all", hours=0.02))
    assert sum(example.seconds for example in found) == pytest.approx(72, abs=6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "voice", ["flite-slt", "hibari-heart", "kokoro-af_heart", "kokoro-bm_lewis", "piper-joe"]
)
def test_whisper_understands_the_voices(voice: str) -> None:
    """Each synthesiser speaks English, American and British, where its packages are available."""
    texts = [
        "He could not find the answer, however hard he tried.",
        "Please press seven to save this message.",
    ]
    try:
        spoken = [source.speak(voice, "test", text, str(index)) for index, text in enumerate(texts)]
    except SetupError as error:
        pytest.skip(str(error))
    build = whisper.whisper_base(WeightsConfig())
    heard = transcribe(build, spoken, language="en", task="transcribe")
    assert jiwer.wer([spelled(text) for text in texts], heard) <= 0.15


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("language", ["es", "fr"])
def test_prompts_of_other_languages_are_divided(language: str) -> None:
    """About 500, at least 100 for the test, no text in two parts; Whisper understands them."""
    try:
        parts = {
            split: examples(SpeechConfig(languages=[language], split=split, numbers="spelled"))
            for split in ("train", "dev", "test")
        }
    except SetupError as error:
        pytest.skip(str(error))
    assert len(parts["test"]) >= 100
    assert 470 <= sum(map(len, parts.values())) <= 510
    texts = [{example.text for example in found} for found in parts.values()]
    assert sum(map(len, texts)) == len(set.union(*texts))
    long = [example for example in parts["dev"] if 4 < example.seconds < 8][:5]
    build = whisper.whisper_base(WeightsConfig())
    heard = transcribe(build, [clips.load(one.audio) for one in long], language=language, task="transcribe")
    assert jiwer.wer([unaccented(one.text) for one in long], list(map(unaccented, heard))) <= 0.3


def test_speech_is_synthesised_in_two_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute of it, the real way."""
    monkeypatch.setenv("STEERMOE_CACHE", str(tmp_path))
    found = examples(SpeechConfig(source="synthetic", split="all", hours=0.02))
    assert sum(example.seconds for example in found) == pytest.approx(72, abs=12)


@pytest.mark.filterwarnings("ignore")
def test_a_gguf_file_is_a_decoder_as_it_is() -> None:
    """`weights = "….gguf"` needs no conversion: the same next token as the prepared folder."""
    from steermoe_core.model.config import CausalLMConfig
    from steermoe_core.model.decoder import CausalLM

    direct = CausalLM(CausalLMConfig(weights=str(smollm2.GGUF.locate())))
    prepared = CausalLM(CausalLMConfig(weights=str(smollm2.smollm2_135m_instruct(WeightsConfig()))))
    ids = torch.tensor([direct.tokenizer("The capital of France is")["input_ids"]])
    assert direct.tokenizer.get_vocab() == prepared.tokenizer.get_vocab()
    logits = [_next(decoder, ids) for decoder in (direct, prepared)]
    torch.testing.assert_close(*logits, rtol=0.0, atol=1e-4)  # the same weights; sums may be split otherwise
    assert logits[0].argmax() == logits[1].argmax()


@torch.no_grad()
def _next(decoder: Any, ids: torch.Tensor) -> torch.Tensor:
    positions = torch.arange(ids.shape[1])[None]
    return decoder.logits(decoder.hidden(decoder.embed(ids), torch.ones_like(ids), positions, None)[:, -1])


@needs_recordings
@pytest.mark.filterwarnings("ignore")
def test_pooling_behind_the_norm_is_not_pooling_before_it() -> None:
    """How far pooled frames are apart, beside their norm: much for the maximum, little for the mean."""
    encoder = WhisperEncoder(Settings(weights=str(whisper.whisper_tiny_en(WeightsConfig()))))
    prompts = sorted(human.prompts(debian.SHARE), key=lambda clip: clip.id)[::34][:16]
    features = encoder.features([clips.load(prompt.audio) for prompt in prompts])
    layers: dict[int, Padded] = {}
    with torch.no_grad():
        frames = encoder(features, layers.setdefault)
        before = Padded(layers[encoder.layers - 1].values[:, : frames.values.shape[1]], frames.lengths)
        apart = {}
        for kind in ("max", "avg"):
            config = PoolConfig(kind=kind, kernel=4)
            behind, pooled = pool(config, frames), pool(config, before)
            scripts = Padded(encoder.model.layer_norm(pooled.values), pooled.lengths)
            differences = torch.cat(behind.rows()) - torch.cat(scripts.rows())
            apart[kind] = (differences.norm() / torch.cat(scripts.rows()).norm()).item()

    assert apart == pytest.approx({"max": 0.41, "avg": 0.08}, abs=0.02)
