"""A folder of sound files becomes examples, and what is wrong with it is said in a sentence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from steermoe_core.data.config import DiskConfig, FolderConfig, HubConfig, JsonlConfig, ParquetConfig
from steermoe_core.data.sources.folder import read_folder
from steermoe_core.data.sources.jsonl import read_jsonl
from steermoe_core.data.sources.tables import read_disk, read_hub, read_parquet
from steermoe_core.errors import DataError
from tests.sounds import columns, save_to_disk, write_manifest, write_parquet
from tests.tiny import DIGITS, write_folder, write_table, write_wav

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from steermoe_core.data.example import Example


def read(path: Path, **settings: Any) -> list[Example]:
    """Read a folder with some settings."""
    return read_folder(FolderConfig(path=path, **settings))


def one_clip(path: Path, **row: str) -> Path:
    """Write a folder whose table has one row of a file that is there."""
    write_wav(path / "a.wav")
    write_table(path, [row or {"file_name": "a.wav", "transcription": "one"}])
    return path


def test_rows_become_examples(tmp_path: Path) -> None:
    """Each row is an example in the table's order, measured by the file's header."""
    examples = read(write_folder(tmp_path, seconds=[0.25] * 10))

    assert [example.text for example in examples] == list(DIGITS)
    assert [example.id for example in examples] == [f"{number:03d}.wav" for number in range(10)]
    assert {example.seconds for example in examples} == {0.25}
    assert all(example.audio.is_file() for example in examples)
    assert {(example.split, example.prompt, example.cluster) for example in examples} == {(None, None, None)}


def test_columns_can_be_named(tmp_path: Path) -> None:
    """Files, transcripts, prompts and speakers may stand in columns of other names."""
    one_clip(tmp_path, wav="a.wav", said=" yes ", asked="is it?", speaker="anna")
    columns = {
        "file_column": "wav",
        "text_column": "said",
        "prompt_column": "asked",
        "cluster_column": "speaker",
    }

    (example,) = read(tmp_path, **columns)

    assert (example.text, example.prompt, example.cluster) == ("yes", "is it?", "anna")


def test_a_column_text_will_do(tmp_path: Path) -> None:
    """The usual other name of the transcript's column needs no setting."""
    assert read(one_clip(tmp_path, file_name="a.wav", text="two"))[0].text == "two"


@pytest.mark.parametrize("name", ["sentence", "transcript", "normalized_text", "Sentence", "TEXT"])
@pytest.mark.parametrize("kind", ["folder", "jsonl", "parquet", "disk", "hub"])
def test_texts_under_other_usual_names(
    tmp_path: Path, kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column of another usual name is taken, and reported, where the experiment names none."""
    make, source, config = {
        "folder": (lambda p: one_clip(p, file_name="a.wav", **{name: "two"}), read_folder, FolderConfig),
        "jsonl": (lambda p: _manifest(p, name), read_jsonl, JsonlConfig),
        "parquet": (lambda p: _table(p / "t.parquet", name), read_parquet, ParquetConfig),
        "disk": (lambda p: save_to_disk(p / "set", _columns(name)), read_disk, DiskConfig),
        "hub": (lambda p: str(_table(p / "set" / "train.parquet", name).parent), read_hub, HubConfig),
    }[kind]
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    path = make(tmp_path)

    with pytest.warns(UserWarning, match=f"the texts are from column '{name}'; `text_column` names"):
        (example,) = source(config(path=path))
    (same,) = source(config(path=path, text_column=name))

    assert example == same
    assert example.text == "two"


def test_the_usual_column_comes_before_others(tmp_path: Path) -> None:
    """Beside `text` a sentence is no candidate."""
    assert read(one_clip(tmp_path, file_name="a.wav", sentence="one", text="two"))[0].text == "two"


def _columns(name: str) -> dict[str, list[Any]]:
    found = columns(["two"])
    return {"audio": found["audio"], name: found["text"]}


def _table(path: Path, name: str) -> Path:
    return write_parquet(path, _columns(name))


def _manifest(place: Path, name: str) -> Path:
    write_wav(place / "a.wav", 0.5)
    return write_manifest(place / "m.jsonl", {"audio": "a.wav", name: "two"})


def test_a_clip_with_several_questions(tmp_path: Path) -> None:
    """With a prompt column a file may have several rows: ids stay unique, and the rows are one cluster."""
    write_wav(tmp_path / "a.wav")
    rows = [
        {"file_name": "a.wav", "text": "yes", "question": question} for question in ("is it?", "what is it?")
    ]
    write_table(tmp_path, rows)

    examples = read(tmp_path, prompt_column="question")

    assert [example.id for example in examples] == ["a.wav", "a.wav#2"]
    assert {example.cluster for example in examples} == {"a.wav"}


def test_texts_and_names_of_any_script(tmp_path: Path) -> None:
    """UTF-8 with a byte order mark, quoted commas and sub-folders are read as they are."""
    write_wav(tmp_path / "säng" / "a b.wav")
    (tmp_path / "metadata.csv").write_text(
        '\ufefffile_name,text\nsäng/a b.wav,"你好, ""you"""\n', encoding="utf-8"
    )

    assert [example.text for example in read(tmp_path)] == ['你好, "you"']


def test_other_columns_do_not_matter(tmp_path: Path) -> None:
    """A table with more columns, one without a name among them as pandas writes it, is read."""
    write_wav(tmp_path / "a.wav")
    (tmp_path / "metadata.csv").write_text(",file_name,text,mood\n0,a.wav,one,\n", encoding="utf-8")

    assert [example.text for example in read(tmp_path)] == ["one"]


def test_sub_folders_are_parts(tmp_path: Path) -> None:
    """Folders train, dev and test with tables of their own are parts, with ids that do not clash."""
    for part in ("train", "dev", "test"):
        write_folder(tmp_path / part, texts=["one", "two"])

    assert [example.split for example in read(tmp_path)] == ["train", "train", "dev", "dev", "test", "test"]
    assert [example.id for example in read(tmp_path, split="dev")] == ["dev/000.wav", "dev/001.wav"]


def test_parts_divide_by_speaker(tmp_path: Path) -> None:
    """No speaker is in two parts, by the seed and the name alone; intervals are over speakers."""
    speakers = [f"speaker {number % 12}" for number in range(60)]
    texts = [f"text {number}" for number in range(60)]
    for number in range(60):
        write_wav(tmp_path / f"{number}.wav", 0.1)
    rows = [
        {"file_name": f"{number}.wav", "text": texts[number], "who": speakers[number]} for number in range(60)
    ]
    write_table(tmp_path, rows)
    settings: dict[str, Any] = {"parts": {"dev": 0.3, "test": 0.3}, "parts_column": "who"}

    found = {name: read(tmp_path, split=name, **settings) for name in ("train", "dev", "test")}

    owners = {name: {example.cluster for example in part} for name, part in found.items()}
    assert sum(map(len, owners.values())) == 12
    assert sum(map(len, found.values())) == 60
    write_table(tmp_path, rows[::-1])
    assert {example.cluster for example in read(tmp_path, split="dev", **settings)} == owners["dev"]
    other = {example.cluster for example in read(tmp_path, split="train", **settings, seed=1)}
    assert other != owners["train"]


def test_parts_need_a_speaker(tmp_path: Path) -> None:
    """A row without one belongs nowhere, and a column without parts divides nothing."""
    one_clip(tmp_path, file_name="a.wav", text="one", who="")
    with pytest.raises(DataError, match=r"metadata\.csv:2: column 'who' is empty, and `parts` divides by it"):
        read(tmp_path, parts={"dev": 0.3}, parts_column="who")
    with pytest.raises(ValueError, match="parts_column is 'who', but parts divides nothing"):
        FolderConfig(path=tmp_path, parts_column="who")


def test_parts_divide_by_text(tmp_path: Path) -> None:
    """Parts are disjoint in their texts, complete together, and the same at each reading."""
    write_folder(tmp_path, texts=[*DIGITS, *DIGITS], seconds=[0.1] * 20)
    settings: dict[str, Any] = {"parts": {"dev": 0.3, "test": 0.3}, "seed": 1}

    found = {part: read(tmp_path, split=part, **settings) for part in ("train", "dev", "test")}

    texts = {part: {example.text for example in examples} for part, examples in found.items()}
    assert sum(map(len, texts.values())) == len(DIGITS)
    assert sum(map(len, found.values())) == 2 * len(DIGITS)
    assert all(example.split == part for part, examples in found.items() for example in examples)
    assert found["dev"] == read(tmp_path, split="dev", **settings)
    assert {
        part: len(read(tmp_path, split=part, **settings | {"seed": 3})) for part in ("train", "dev", "test")
    } != {part: len(examples) for part, examples in found.items()}


def test_a_missing_clip_is_kept_to_be_counted(tmp_path: Path) -> None:
    """A row whose file is missing or broken is an example without a duration."""
    write_wav(tmp_path / "a.wav")
    (tmp_path / "b.wav").write_bytes(b"nothing")
    write_table(tmp_path, [{"file_name": f"{name}.wav", "text": name} for name in "abc"])

    assert [math.isnan(example.seconds) for example in read(tmp_path)] == [False, True, True]


def test_a_file_without_transcript_is_named(tmp_path: Path) -> None:
    """Sound files that no row names are not used, and not forgotten either."""
    one_clip(tmp_path)
    write_wav(tmp_path / "more" / "b.wav")

    with pytest.warns(
        UserWarning, match=r"1 sound files without a row in metadata\.csv are not used: more.b\.wav"
    ):
        examples = read(tmp_path)

    assert [example.id for example in examples] == ["a.wav"]


def test_a_missing_folder(tmp_path: Path) -> None:
    """The error names the folder."""
    with pytest.raises(DataError, match=r"nowhere: there is no such folder"):
        read(tmp_path / "nowhere")


def test_a_folder_without_a_table(tmp_path: Path) -> None:
    """The error says what to write; a part without a table is named."""
    with pytest.raises(
        DataError, match=r"no metadata\.csv; write one with columns file_name and transcription"
    ):
        read(tmp_path)
    (tmp_path / "dev").mkdir()
    with pytest.raises(DataError, match=r"dev: there is no metadata\.csv"):
        read(tmp_path)


@pytest.mark.parametrize("column", ["file_column", "text_column", "prompt_column", "cluster_column"])
def test_a_missing_column(tmp_path: Path, column: str) -> None:
    """The error names the columns that there are."""
    with pytest.raises(DataError, match="no column 'sound'; its columns are file_name, transcription"):
        read(one_clip(tmp_path), **{column: "sound"})


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (["file_name,text"], "the table has no rows"),
        ([], "the table has no rows"),
        (["file_name,text", ",one"], ":2: the row names no file in column 'file_name'"),
        (["file_name,text", "a.wav,one", "a.wav,two"], r":3: a\.wav has a row already"),
        (["file_name,text", "a.wav,one, two"], ":2: not as many fields"),
        (["file_name,text", "a.wav"], ":2: not as many fields"),
        (["file_name,text", '"a.wav,one'], "cannot be read as a table"),
    ],
)
def test_a_damaged_table(tmp_path: Path, lines: Sequence[str], complaint: str) -> None:
    """Table, line and fault are in the message."""
    write_wav(tmp_path / "a.wav")
    (tmp_path / "metadata.csv").write_text("\n".join(lines), encoding="utf-8")

    with pytest.raises(DataError, match=complaint) as caught:
        read(tmp_path)

    assert "metadata.csv" in str(caught.value)


def test_a_table_in_another_encoding(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are an error, not a wrong transcript."""
    (tmp_path / "metadata.csv").write_bytes("file_name,text\na.wav,für\n".encode("latin-1"))

    with pytest.raises(DataError, match="UTF-8"):
        read(tmp_path)


def test_a_part_that_is_not_there(tmp_path: Path) -> None:
    """A split that no clip belongs to names the parts there are, or how to get some."""
    write_folder(tmp_path / "whole")
    write_folder(tmp_path / "divided" / "train")

    with pytest.raises(DataError, match="no clip belongs to split 'dev'; it has no parts; set `parts`"):
        read(tmp_path / "whole", split="dev")
    with pytest.raises(DataError, match="no clip belongs to split 'dev'; its parts are train"):
        read(tmp_path / "divided", split="dev")


def test_two_divisions_at_once(tmp_path: Path) -> None:
    """Shares make no sense where sub-folders divide already."""
    write_folder(tmp_path / "test")

    with pytest.raises(DataError, match="sub-folders test divide it already; leave out `parts`"):
        read(tmp_path, parts={"dev": 0.1})
