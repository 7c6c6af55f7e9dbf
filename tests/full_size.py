"""Small stand-ins of what the full-size experiments name: the hub's models and data, AISHELL-2, Clotho-AQA.

Folders, files and names are those that are published; widths, layers and clips are few. An experiment finds
them as it finds the real ones: the hub's through `HF_HOME`, the others in `data/` beside `experiments/`.
"""

from __future__ import annotations

import csv
import io
import json
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
import torch

from steermoe_conformer.network import Shape
from tests.conformers import arguments, ark, random_network, state, statistics
from tests.parts import save_random, whisper_config
from tests.tiny import RATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WHISPER, FIRERED, LIBRISPEECH = (
    "openai/whisper-large-v3",
    "FireRedTeam/FireRedASR-AED-L",
    "openslr/librispeech_asr",
)
#: The token that ends a text, in Whisper's vocabulary as in Qwen's, and the one that ends a turn of Qwen's.
END, TURN = "<|endoftext|>", "<|im_end|>"
#: What of a language model's config tells the sizes apart: tied embeddings, and shards of the weights.
QWENS = {
    "Qwen/Qwen2.5-0.5B-Instruct": {"tie_word_embeddings": True, "num_attention_heads": 4},
    "Qwen/Qwen2.5-3B-Instruct": {"tie_word_embeddings": True, "num_attention_heads": 8},
    "Qwen/Qwen2.5-7B-Instruct": {"tie_word_embeddings": False, "num_attention_heads": 8},
}
#: The configurations of LibriSpeech on the hub, their splits, and how many clips of each are made here.
SPLITS = {
    "clean": {"test": 3, "train.100": 5, "train.360": 5, "validation": 2},
    "other": {"test": 2, "train.500": 2, "validation": 1},
}
#: Longer than Whisper hears; LibriSpeech's test sets have such clips.
LONG = 31.0
_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def write_hub(home: Path) -> None:
    """Write the cache of the hub's client, as `hf download` leaves it."""
    write_whisper(_made(home, "models", WHISPER))
    for name, sizes in QWENS.items():
        write_qwen(_made(home, "models", name), **sizes)
    write_firered(_made(home, "models", FIRERED))
    write_librispeech(_made(home, "datasets", LIBRISPEECH))


def snapshot(home: Path, kind: str, name: str) -> Path:
    """Return the folder where the hub's client keeps the newest files of a model or dataset."""
    return home / "hub" / f"{kind}--{name.replace('/', '--')}" / "snapshots" / COMMIT


def _made(home: Path, kind: str, name: str) -> Path:
    folder = snapshot(home, kind, name)
    folder.mkdir(parents=True)
    (folder.parents[1] / "refs").mkdir()
    (folder.parents[1] / "refs" / "main").write_text(COMMIT)
    return folder


def write_whisper(folder: Path) -> None:
    """Write a Whisper as large-v3 is: 128 mel bins, half precision, with its decoder and its tokenizer."""
    from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

    languages, tasks = ("<|en|>", "<|zh|>"), ("<|translate|>", "<|transcribe|>")
    times = [f"<|{0.02 * step:.2f}|>" for step in range(1501)]
    others = ("<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>")
    numbers = write_tokenizer(
        folder,
        "WhisperTokenizer",
        [END, "<|startoftranscript|>", *languages, *tasks, *others, *times],
        bos_token=END,
        eos_token=END,
        pad_token=END,
        unk_token=END,
        model_max_length=448,
        processor_class="WhisperProcessor",
    )
    end, start = numbers[END], numbers["<|startoftranscript|>"]
    ends = {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "decoder_start_token_id": start}
    config = whisper_config(
        num_mel_bins=128,
        vocab_size=max(numbers.values()) + 1,
        begin_suppress_tokens=[end],
        suppress_tokens=[],
        **ends,
    )
    save_random(WhisperForConditionalGeneration, config, folder, torch.float16)
    WhisperFeatureExtractor(feature_size=128).save_pretrained(folder)
    generation = {
        **ends,
        "alignment_heads": [[0, 0]],
        "begin_suppress_tokens": [end],
        "forced_decoder_ids": [[1, None], [2, numbers["<|transcribe|>"]]],
        "is_multilingual": True,
        "lang_to_id": {token: numbers[token] for token in languages},
        "max_initial_timestamp_index": 50,
        "max_length": 448,
        "no_timestamps_token_id": numbers["<|notimestamps|>"],
        "prev_sot_token_id": numbers["<|startofprev|>"],
        "return_timestamps": False,
        "suppress_tokens": [],
        "task_to_id": {token.strip("<|>"): numbers[token] for token in tasks},
    }
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2), encoding="utf-8")


def write_qwen(folder: Path, **sizes: Any) -> None:
    """Write a Qwen2.5-Instruct: shards in bf16, its tokenizer's files and chat template, its sampling.

    The embedding table has more rows than the tokenizer has tokens, as the published ones have.
    """
    from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

    numbers = write_tokenizer(
        folder,
        "Qwen2Tokenizer",
        [END, "<|im_start|>", TURN],
        add_bos_token=False,
        additional_special_tokens=["<|im_start|>", TURN],
        bos_token=None,
        chat_template=CHAT,
        eos_token=TURN,
        model_max_length=131072,
        pad_token=END,
        split_special_tokens=False,
        unk_token=None,
    )
    end, turn = numbers[END], numbers[TURN]
    config = Qwen2Config(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_key_value_heads=2,
        vocab_size=320,
        max_position_embeddings=32768,
        max_window_layers=2,
        sliding_window=131072,
        use_sliding_window=False,
        rope_theta=1000000.0,
        rms_norm_eps=1e-6,
        initializer_range=0.2,
        bos_token_id=end,
        eos_token_id=turn,
        **sizes,
    )
    save_random(Qwen2ForCausalLM, config, folder, torch.bfloat16, max_shard_size="40KB")
    GenerationConfig(
        bos_token_id=end,
        pad_token_id=end,
        eos_token_id=[turn, end],
        do_sample=True,
        repetition_penalty=1.05,
        temperature=0.7,
        top_p=0.8,
        top_k=20,
    ).save_pretrained(folder)


#: The chat template of Qwen2.5 without its part for tools.
CHAT = """\
{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.' }}
    {{- '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role != 'system' or not loop.first %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
_MERGES = ("t h", "th e", "i n", "Ġ t", "o n")


def write_tokenizer(folder: Path, kind: str, special: Sequence[str], **settings: Any) -> dict[str, int]:
    """Write the four files of a byte-level tokenizer; return the numbers of its special tokens.

    :param kind: its class in transformers.
    :param settings: of tokenizer_config.json.
    """
    import transformers
    from tokenizers import pre_tokenizers

    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *(pair.replace(" ", "") for pair in _MERGES)]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    numbers = {token: len(vocabulary) + number for number, token in enumerate(special)}
    whole = getattr(transformers, kind)(vocabulary, [tuple(pair.split()) for pair in _MERGES])
    whole.add_tokens(list(special), special_tokens=True)
    whole.backend_tokenizer.save(str(folder / "tokenizer.json"))
    merges = "".join(f"{pair}\n" for pair in _MERGES)
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}", encoding="utf-8")
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    whole_settings = {
        "add_prefix_space": False,
        "added_tokens_decoder": {str(n): {"content": token, **flags} for token, n in numbers.items()},
        "clean_up_tokenization_spaces": False,
        "errors": "replace",
        "tokenizer_class": kind,
        **settings,
    }
    for name, content in (("vocab", vocabulary), ("tokenizer_config", whole_settings)):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    return numbers


def write_firered(folder: Path) -> None:
    """Write a FireRedASR-AED: encoder and decoder under their published names, statistics of its features."""
    shape = Shape(bins=80, width=32, layers=2, heads=4, kernel=33)
    tensors = {**state(random_network(shape)), **_attention_decoder(shape.width)}
    torch.save({"args": arguments(shape), "model_state_dict": tensors}, folder / "model.pth.tar")
    (folder / "cmvn.ark").write_bytes(ark(statistics()))
    (folder / "cmvn.txt").write_text("not read where cmvn.ark is\n")
    (folder / "config.yaml").write_text("{}\n")


def _attention_decoder(width: int) -> dict[str, torch.Tensor]:
    """Return some tensors of the part that the encoder is published with."""
    layer = "decoder.layer_stack.0"
    return {
        "decoder.tgt_word_emb.weight": torch.zeros(7832, 4),
        "decoder.positional_encoding.pe": torch.zeros(1, 5000, 4),
        f"{layer}.self_attn.w_qs.weight": torch.zeros(width, width),
        f"{layer}.cross_attn.fc.weight": torch.zeros(width, width),
        f"{layer}.mlp.w_1.weight": torch.zeros(4 * width, width),
        "decoder.layer_norm_out.weight": torch.zeros(width),
        "decoder.tgt_word_prj.weight": torch.zeros(7832, 4),
    }


def write_librispeech(folder: Path) -> None:
    """Write parquet files with FLAC inside, and the card that names them; a split has several shards."""
    speakers, configs, infos = count(19), [], []
    for name, splits in SPLITS.items():
        configs.append({"config_name": name, "data_files": []})
        infos.append({"config_name": name, "features": _card_features(), "splits": []})
        for split, clips in splits.items():
            place = f"{name}/{split}"
            configs[-1]["data_files"].append({"split": split, "path": f"{place}/*.parquet"})
            infos[-1]["splits"].append({"name": split, "num_bytes": clips, "num_examples": clips})
            rows = list(_utterances(place, clips, speakers))
            if (name, split) == ("clean", "test"):
                rows[-1] = _utterance(rows[-1]["id"], rows[-1]["text"], 7, LONG)
            (folder / place).mkdir(parents=True)
            for shard, part in enumerate(filter(None, (rows[: clips // 2], rows[clips // 2 :]))):
                table = pa.Table.from_pylist(part, _schema())
                pq.write_table(table, folder / place / f"{shard:04d}.parquet", row_group_size=100)
    card = json.dumps({"license": "cc-by-4.0", "configs": configs, "dataset_info": infos}, indent=1)
    (folder / "README.md").write_text(f"---\n{card}\n---\n# LibriSpeech\n", encoding="utf-8")  # JSON is YAML


def _utterances(place: str, clips: int, speakers: Iterator[int]) -> Iterator[dict[str, Any]]:
    for number in range(clips):
        speaker = next(speakers)
        name = f"{speaker}-198-{number:04d}"
        words = " ".join((_NUMBERS[number], *place.replace(".", "/").split("/"))).upper()
        yield _utterance(name, words, speaker, 0.6 + 0.01 * speaker)


def _utterance(name: str, text: str, speaker: int, seconds: float) -> dict[str, Any]:
    sound = io.BytesIO()
    soundfile.write(sound, babble(seconds, speaker), RATE, format="FLAC")
    return {
        "file": f"{name}.flac",
        "audio": {"bytes": sound.getvalue(), "path": f"{name}.flac"},
        "text": text,
        "speaker_id": speaker,
        "chapter_id": 198,
        "id": name,
    }


def babble(seconds: float, seed: int) -> np.ndarray:
    """Return noise of a changing loudness (N,): no two seeds sound alike."""
    chance = np.random.default_rng(seed)
    samples = round(seconds * RATE)
    loudness = np.repeat(chance.uniform(0.02, 0.3, samples // 800 + 1), 800)[:samples]
    return (loudness * chance.standard_normal(samples)).clip(-1, 1).astype(np.float32)


_KINDS = {"file": "string", "text": "string", "speaker_id": "int64", "chapter_id": "int64", "id": "string"}


def _card_features() -> list[dict[str, Any]]:
    kinds = {"file": "string", "audio": {"audio": {"sampling_rate": RATE}}, **_KINDS}
    return [{"name": name, "dtype": kind} for name, kind in kinds.items()]


def _schema() -> pa.Schema:
    """Return the columns with what `datasets` notes of them in a parquet file."""
    values = {name: {"dtype": kind, "_type": "Value"} for name, kind in _KINDS.items()}
    features = {"file": values["file"], "audio": {"sampling_rate": RATE, "_type": "Audio"}, **values}
    fields = [(name, getattr(pa, kind)()) for name, kind in _KINDS.items()]
    audio = ("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema([fields[0], audio, *fields[1:]], metadata)


#: The sets of AISHELL-2: their folders, and the names of speakers and clips in them.
AISHELL = {
    "iOS/data": ("C0001", "IC0001W{:04d}", ("厨房用品", "打开空调", "今天天气怎么样", "请再说一遍", "关灯")),
    "AISHELL-DEV-TEST-SET/iOS/dev": ("D0001", "ID0001W{:04d}", ("你好世界", "播放音乐")),
    "AISHELL-DEV-TEST-SET/iOS/test": ("T0001", "IT0001W{:04d}", ("三点一刻", "去火车站", "现在几点")),
}


def write_aishell(folder: Path) -> None:
    """Write the three sets as they are given out: two tables and a tree of sound files each."""
    seeds = count(500)
    for place, (speaker, pattern, texts) in AISHELL.items():
        names = [pattern.format(number) for number in range(1, len(texts) + 1)]
        for name in names:
            sound = folder / place / "wav" / speaker / f"{name}.wav"
            sound.parent.mkdir(parents=True, exist_ok=True)
            seed = next(seeds)
            soundfile.write(sound, babble(0.002 * seed, seed), RATE)
        _write_kaldi(folder / place / "wav.scp", names, [f"wav/{speaker}/{name}.wav" for name in names])
        _write_kaldi(folder / place / "trans.txt", names, texts)


def _write_kaldi(path: Path, names: Sequence[str], values: Sequence[str]) -> None:
    lines = (f"{name}\t{value}\n" for name, value in zip(names, values, strict=True))
    path.write_text("".join(lines), encoding="utf-8")


#: Questions to every clip of Clotho-AQA and three annotators' answers to each, as surely as they say.
QUESTIONS = {
    "Is it raining?": (("yes", "yes"), ("yes", "maybe"), ("no", "yes")),
    "Are people talking, or shouting?": (("no", "yes"), ("no", "yes"), ("no", "maybe")),
    "What is making the noise?": (("rain", "yes"), ("water", "maybe"), ("rain", "no")),
}


def write_clotho(folder: Path) -> None:
    """Write the tables and the folder of sounds, which are at 44.1 kHz, of 15 to 30 seconds."""
    (folder / "audio_files").mkdir(parents=True)
    seeds = count(900)
    for split, clips in (("train", 2), ("val", 1), ("test", 2)):
        files = [f"{split} {number} (take 2).wav" for number in range(clips)]
        with (folder / f"clotho_aqa_{split}.csv").open("w", encoding="utf-8", newline="") as table:
            writer = csv.writer(table)
            writer.writerow(["file_name", "QuestionText", "answer", "confidence"])
            for file in files:
                for question, answers in QUESTIONS.items():
                    writer.writerows([file, question, *answer] for answer in answers)
        for file in files:
            soundfile.write(folder / "audio_files" / file, babble(5.6, next(seeds)), 44_100)
