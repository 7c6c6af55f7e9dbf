"""Tables that hold the audio become examples: parquet files, saved sets, sets of the hub."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from steermoe_core.data.audio.stored import Encoded, Mel, Samples
from steermoe_core.data.audio.waveform import duration, load
from steermoe_core.data.config import DiskConfig, HubConfig, ParquetConfig
from steermoe_core.data.sources.tables import natural, read_disk, read_hub, read_parquet
from steermoe_core.errors import DataError, SetupError
from tests.sounds import (
    TEXTS,
    columns,
    processed_mels,
    processed_samples,
    save_dictionary,
    save_to_disk,
    sound,
    write_parquet,
)
from tests.tiny import sine, tokenizer, write_wav

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.data.example import Example

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def of_parquet(path: Path, **settings: Any) -> list[Example]:
    """Read parquet files with some settings."""
    return read_parquet(ParquetConfig(path=path, **settings))


def of_disk(path: Path, **settings: Any) -> list[Example]:
    """Read saved sets with some settings."""
    return read_disk(DiskConfig(path=path, **settings))


def texts(examples: list[Example]) -> list[str]:
    """Return the texts in order."""
    return [example.text for example in examples]


def test_a_parquet_file(tmp_path: Path) -> None:
    """Rows become examples that know where their audio lies, and are heard as the sound files were."""
    examples = of_parquet(write_parquet(tmp_path / "a.parquet", columns()))

    assert texts(examples) == list(TEXTS)
    assert [example.id for example in examples] == ["a/0", "a/1", "a/2"]
    assert {example.seconds for example in examples} == {0.5}
    for number, example in enumerate(examples):
        assert example.audio == Encoded(tmp_path / "a.parquet", number, "audio")
        np.testing.assert_allclose(load(example.audio, 16_000), sine(0.5, hertz=200 + 40 * number), atol=1e-4)


def test_parquet_files_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """A folder is searched, a pattern is followed; 10 comes after 9."""
    for number in (10, 9):
        write_parquet(tmp_path / "data" / f"train-{number}.parquet", columns([f"of {number}"]))
    write_parquet(tmp_path / "data" / "test-1.parquet", columns(["of test"]))

    assert texts(of_parquet(tmp_path)) == ["of test", "of 9", "of 10"]
    assert texts(of_parquet(tmp_path / "data" / "train-*.parquet")) == ["of 9", "of 10"]
    assert of_parquet(tmp_path)[0].id == "data/test-1/0"


@pytest.mark.parametrize("name", ["batch_0_10", "batch_10_20", "batch_9", "a/b2/c", "b10"])
def test_natural_order_takes_any_name(tmp_path: Path, name: str) -> None:
    """A name with more parts or fewer digits can be compared with any other."""
    assert sorted([tmp_path / name, tmp_path / "batch_2_3"], key=natural)


@pytest.mark.parametrize(
    "values",
    [
        [sound(), sound(), sound()],
        [sound(kind="WAV"), sound(kind="OGG", rate=8_000), sound(kind="MP3", rate=44_100)],
        [{"bytes": None, "path": "a.wav"}, {"bytes": sound(), "path": None}, {"bytes": sound(), "path": "b"}],
        ["a.wav", "a.wav", "a.wav"],
    ],
    ids=["flac", "formats", "pairs", "paths"],
)
def test_audio_in_a_column(tmp_path: Path, values: list[Any]) -> None:
    """Bytes of any sound file, pairs of bytes and path, and paths relative to the table are all heard."""
    write_wav(tmp_path / "a.wav")
    table = {"audio": values, "text": list(TEXTS), "question": list(TEXTS)}

    examples = of_parquet(write_parquet(tmp_path / "t.parquet", table), prompt_column="question")

    for example in examples:
        assert example.seconds == pytest.approx(0.5, abs=0.06)
        assert np.abs(load(example.audio, 16_000)[1000:7000]).max() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lists_of_samples(tmp_path: Path, dtype: str) -> None:
    """Numbers with a rate are sound, resampled from each row's own rate."""
    table = {
        "audio": [sine(0.5, rate).astype(dtype) for rate in (8_000, 16_000)],
        "text": ["one", "two"],
        "sr": [8_000, 16_000],
    }

    examples = of_parquet(write_parquet(tmp_path / "t.parquet", table), rate_column="sr")

    assert [example.seconds for example in examples] == [0.5, 0.5]
    assert [len(load(example.audio, 16_000)) for example in examples] == [8_000, 8_000]
    np.testing.assert_array_equal(load(examples[1].audio, 16_000), sine(0.5))


def test_columns_can_be_named(tmp_path: Path) -> None:
    """Every column of a table may be called otherwise."""
    table = {
        "wav": columns()["audio"],
        "sentence": list(TEXTS),
        "asked": ["a?", "b?", "c?"],
        "who": ["anna", "ben", None],
        "key": ["x", "y", "z"],
        "length": [1.5, 2.0, 2.5],
        "answers": [["one", "1"], ["two"], None],
        "language": ["en", "de", None],
    }
    path = write_parquet(tmp_path / "t.parquet", table)

    first, _, last = of_parquet(
        path, audio_column="wav", text_column="sentence", prompt_column="asked", cluster_column="who",
        id_column="key", seconds_column="length", references_column="answers", label_columns=["language"],
    )  # fmt: skip

    assert (first.id, first.text, first.prompt, first.cluster) == ("x", "one", "a?", "anna")
    assert (first.seconds, first.references, first.labels) == (1.5, ("one", "1"), {"language": "en"})
    assert (last.cluster, last.references, last.labels) == (None, (), {})


def test_parts_of_a_table(tmp_path: Path) -> None:
    """A column divides it, or the hash of the texts does."""
    names = [f"text {number}" for number in range(20)]
    path = write_parquet(tmp_path / "t.parquet", columns(names, fold=["dev"] * 5 + ["train"] * 15))

    assert len(of_parquet(path, split_column="fold", split="dev")) == 5
    assert len(of_parquet(path, split_column="fold", split="dev+train")) == 20
    hashed = {part: texts(of_parquet(path, parts={"dev": 0.5}, split=part)) for part in ("train", "dev")}
    assert sorted(hashed["train"] + hashed["dev"]) == sorted(names)


def test_speeds(tmp_path: Path) -> None:
    """Clips in tables are played at other speeds as files are."""
    examples = of_parquet(write_parquet(tmp_path / "t.parquet", columns()), speeds=[1.0, 2.0])

    assert [example.id for example in examples[2:4]] == ["t/2", "t/0@2"]
    assert examples[3].seconds == 0.25
    assert [len(examples[number].waveform(16_000)) for number in (0, 3)] == [8_000, 4_000]


@pytest.mark.parametrize("shards", [None, 2])
def test_a_saved_set(tmp_path: Path, shards: int | None) -> None:
    """What save_to_disk wrote is read in its order, in one file or several."""
    examples = of_disk(save_to_disk(tmp_path / "set", columns(), shards))

    assert texts(examples) == list(TEXTS)
    assert len({example.id for example in examples}) == 3
    assert [duration(example.audio) for example in examples] == [0.5] * 3


def test_a_folder_of_saved_sets(tmp_path: Path) -> None:
    """Sub-folders are taken together in the order of their numbers, which no listing decides."""
    for start in (20, 0, 100, 10):
        save_to_disk(tmp_path / f"batch_{start}_{start + 10}", columns([f"of {start}"]))
    (tmp_path / ".cache").mkdir()

    examples = of_disk(tmp_path)

    assert texts(examples) == ["of 0", "of 10", "of 20", "of 100"]
    assert examples[0].id == "batch_0_10/0"


def test_a_dictionary_of_saved_sets(tmp_path: Path) -> None:
    """Its splits are parts: one, several or all of them."""
    save_dictionary(tmp_path, ["train", "dev", "test"])

    assert [example.split for example in of_disk(tmp_path, split="dev")] == ["dev"] * 3
    assert {example.split for example in of_disk(tmp_path, split="train+dev")} == {"train", "dev"}
    assert len({example.id for example in of_disk(tmp_path)}) == 9


def test_processed_samples(tmp_path: Path) -> None:
    """16-bit samples with a rate are sound; the text is taken, the foreign token ids are not."""
    examples = of_disk(save_to_disk(tmp_path, processed_samples(rate=8_000)))

    assert examples[0].audio == Samples(tmp_path / "data-00000-of-00001.arrow", 0, "input_features", 8_000)
    assert texts(examples) == list(TEXTS)
    assert examples[0].prompt is None
    np.testing.assert_allclose(load(examples[0].audio, 8_000), sine(0.5, 8_000), atol=1e-4)


def test_processed_samples_in_wide_numbers(tmp_path: Path) -> None:
    """A list of Python numbers becomes 64 bits; full scale upwards may be 32768."""
    table = {"input_features": [[-32768, 0, 32768]], "text": ["one"], "sample_rate": [16_000]}

    (example,) = of_parquet(write_parquet(tmp_path / "t.parquet", table))

    assert load(example.audio, 16_000).tolist() == [-1.0, 0.0, 1.0]


def test_processed_log_mels(tmp_path: Path) -> None:
    """Log-mels are kept with the seconds they are of; questions come along."""
    table = processed_mels(seconds=1.234) | {"text_prompt": ["a?", "b?", "c?"]}

    first, second, _ = of_disk(save_to_disk(tmp_path, table))

    assert (first.prompt, first.seconds) == ("a?", 1.234)
    assert isinstance(first.audio, Mel)
    assert isinstance(second.audio, Mel)
    assert first.audio.frames() == 123
    assert first.audio.features().shape == (300, 8)
    assert first.audio.features()[2, 1] == 302.0
    assert second.audio.features()[2, 1] == 303.0


def _processed(folder: Path, **more: list[Any]) -> dict[str, Any]:
    """Return columns of a set as transformers' scripts for Whisper save it, and save its tokenizer."""
    words = tokenizer()
    words.save_pretrained(folder / "tokenizer")
    mels = np.zeros((3, 8, 300), np.float32)
    for number, frames in enumerate((50, 100, 300)):
        mels[number, :, :frames] = np.linspace(0.5, 1.0, frames)
    labels = [[*words(text).input_ids, words.eos_token_id, -100] for text in TEXTS]
    return {"input_features": list(mels), "labels": labels, **more}


def test_processed_sets_without_texts(tmp_path: Path) -> None:
    """The tokenizer that made the labels decodes them; the clips are as long as what is not padding."""
    save_to_disk(tmp_path / "set", _processed(tmp_path))

    examples = of_disk(tmp_path / "set", tokenizer=str(tmp_path / "tokenizer"))

    assert texts(examples) == list(TEXTS)
    assert [example.seconds for example in examples] == [0.5, 1.0, 3.0]
    assert [example.audio.frames() for example in examples if isinstance(example.audio, Mel)] == [
        50,
        100,
        300,
    ]


def test_processed_lengths_in_samples(tmp_path: Path) -> None:
    """Whole numbers count samples at 16 kHz, as transformers' scripts have them."""
    table = _processed(tmp_path, input_length=[8_000, 16_000, 40_000])
    save_to_disk(tmp_path / "set", table)

    examples = of_disk(tmp_path / "set", tokenizer=str(tmp_path / "tokenizer"))

    assert [example.seconds for example in examples] == [0.5, 1.0, 2.5]


def test_token_ids_need_their_tokenizer(tmp_path: Path) -> None:
    """The error names the key; with texts there is nothing to decode."""
    save_to_disk(tmp_path / "set", _processed(tmp_path))
    with pytest.raises(DataError, match=r"token ids in column 'labels'; set `tokenizer` to what made them"):
        of_disk(tmp_path / "set")
    with pytest.raises(SetupError, match=r"'./nothing': there is no such file or folder"):
        of_disk(tmp_path / "set", tokenizer="./nothing")
    save_to_disk(tmp_path / "other", processed_mels())
    with pytest.raises(DataError, match=r"row 0: column 'text' must hold a list of token ids, is 'one'"):
        of_disk(tmp_path / "other", tokenizer=str(tmp_path / "tokenizer"), text_column="text")


def test_fixed_shapes(tmp_path: Path) -> None:
    """Features that were declared as arrays of two dimensions are read like lists of lists."""
    from datasets import Array2D, Dataset, Features, Value

    features = Features({"input_features": Array2D((8, 300), "float32"), "input_length": Value("float32"),
                         "text": Value("string")})  # fmt: skip
    table = {key: value for key, value in processed_mels().items() if key in features}
    Dataset.from_dict(table, features=features).save_to_disk(tmp_path)

    (first, *_) = of_disk(tmp_path)

    assert first.audio.features()[2, 1] == 302.0


@pytest.fixture
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what `datasets` makes of a set beside the set."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.usefixtures("_own_cache")
def test_a_split_of_a_hub_set(tmp_path: Path) -> None:
    """The hub's layout in a local folder goes through the same call as a name on the hub."""
    names = [f"text {number}" for number in range(10)]
    write_parquet(tmp_path / "set" / "data" / "train-00000-of-00001.parquet", columns(names))
    write_parquet(tmp_path / "set" / "data" / "validation-00000-of-00001.parquet", columns(["four"]))

    both = read_hub(HubConfig(path=str(tmp_path / "set"), split="train+validation"))

    assert [(example.id, example.split) for example in both[9:]] == [
        ("train/9", "train"),
        ("validation/0", "validation"),
    ]
    assert [duration(example.audio) for example in both] == [0.5] * 11
    parts = {"dev": 0.5}
    halves = [
        read_hub(HubConfig(path=str(tmp_path / "set"), parts=parts, part=part)) for part in ("dev", "train")
    ]
    assert sorted(example.text for half in halves for example in half) == sorted(names)


def test_examples_are_small_and_can_be_sent(tmp_path: Path) -> None:
    """A worker process gets the place of the audio, not the audio."""
    path = write_parquet(tmp_path / "t.parquet", columns(seconds=20.0))

    sent = pickle.dumps(of_parquet(path)[0])

    assert len(sent) < 2_000
    assert len(load(pickle.loads(sent).audio, 16_000)) == 320_000  # noqa: S301 - made here
