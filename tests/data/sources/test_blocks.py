"""A manifest that is read in blocks gives what reading it line by line gives, errors included."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from steermoe_core.data.config import JsonlConfig
from steermoe_core.data.index import IrregularError
from steermoe_core.data.sources.blocks import rows_in_blocks
from steermoe_core.data.sources.jsonl import read_jsonl
from steermoe_core.errors import DataError
from tests.sounds import write_manifest

MODULE = "steermoe_core.data.sources"


@pytest.fixture(autouse=True)
def _indexed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the smallest manifest in blocks, of two lines or so, with the keys of the first line."""
    monkeypatch.setattr("steermoe_core.data.index.LEAST", 1)
    monkeypatch.setattr(f"{MODULE}.blocks._BLOCK", 150)
    monkeypatch.setattr(f"{MODULE}.blocks._HEAD", 1)


def is_regular(config: JsonlConfig) -> bool:
    """Return whether a manifest is read in blocks."""
    rows = rows_in_blocks(config)
    try:
        return rows is not None and bool(list(rows))
    except IrregularError:
        return False


def outcome(config: JsonlConfig, *, in_blocks: bool) -> Any:
    """Return the examples of a manifest, each as text, or the error; from an index that is made now."""
    with tempfile.TemporaryDirectory() as cache, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEERMOE_CACHE", cache)
        if not in_blocks:
            patch.setattr(f"{MODULE}.jsonl.rows_in_blocks", lambda _: None)
        try:
            return [repr(one) for one in read_jsonl(config)]
        except (DataError, UnicodeError) as error:
            return f"{type(error).__name__}: {error}"


def agree(lines: str | bytes, **settings: Any) -> bool:
    """Compare the two ways to read a manifest next to two files; return whether it is read in blocks."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "m.jsonl")
        path.write_bytes(lines if isinstance(lines, bytes) else lines.encode("utf-8", "surrogatepass"))
        Path(place, "a.wav").write_bytes(b"sound")
        Path(place, "empty.wav").touch()
        config = JsonlConfig(path=path, **settings)
        assert outcome(config, in_blocks=True) == outcome(config, in_blocks=False)
        return is_regular(config)


def line(number: int = 0, **more: Any) -> dict[str, Any]:
    """Return a usual line."""
    return {"audio": "a.wav", "offset": number / 8, "duration": 1.5, "text": f" Text {number} ", **more}


def written(*lines: dict[str, Any]) -> str:
    """Return lines as they are in a file."""
    return "".join(json.dumps(one) + "\n" for one in lines)


REGULAR: dict[str, list[dict[str, Any]]] = {
    "spans": [line(number) for number in range(9)],
    "whole files": [
        {"audio_filepath": name, "seconds": 2, "text": "x"} for name in ("a.wav", "/b.wav", "../é.wav")
    ],
    "ids, speakers and splits": [
        line(number, id=f"i{number}", speaker=None if number else "s", split="dev") for number in range(4)
    ],
    "numbers as names": [line(number, id=number, speaker=7) for number in range(3)],
    "keys without a meaning": [line(number, lang="en", pnc=True, score=0.5, n=number) for number in range(3)],
    "spans and whole files": [line(1), line(2), {**line(), "offset": None}],
    "a file that is missing, an empty one": [line(audio=f"{name}.wav") for name in ("b", "empty", "a\0")],
}


@pytest.mark.parametrize("kind", REGULAR)
def test_regular_manifests(kind: str) -> None:
    """They are read in blocks, whose examples are those of the lines."""
    assert agree(written(*REGULAR[kind]))


IRREGULAR: dict[str, str | bytes] = {
    "a clip twice": written(line(), line(1), line()),
    "an id twice": written(line(id="i"), line(1, id="i")),
    "two lines with the same name": written(line(offset=100.00001), line(offset=100.00002)),
    "a key in one line": written(line(), line(1, lang="en")),
    "a second column of text": written(line(), line(1)) + '{"audio": "a.wav", "transcription": null}',
    "an escaped key": written(line(), line(1)) + '{"audio": "a.wav", "\\u0074ranscription": null}',
    "a number as text": written(line(), line(1, text=5)),
    "a text as number": written(line(), line(1, duration="5")),
    "a duration below 0": written(line(), line(1, duration=-1.0)),
    "no duration": written(line(), line(1, duration=None)),
    "an empty name": written(line(), line(1, audio="")),
    "other names of a file": written(line(), line(audio="./a.wav"), line(1, audio="x//a.wav")),
    "an object in two lines": written(line()) + '{"audio": "a.wav",\n"text": "x"}{"audio": "a.wav"}\n',
    "two objects in a line": written(line()) + "{}{}\n",
    "a key twice": written(line()) + '{"text": "x", "audio": "a.wav", "text": "y", "duration": 1}',
    "other ends of lines": written(line(), line(1)).replace("\n", "\r\n"),
    "blank lines": written(line(), line(1)).replace("\n", "\n \n"),
    "a byte order mark": "\ufeff" + written(line(), line(1)),
    "not UTF-8": written(line(), line(1)).encode() + b'{"audio": "a.wav", "text": "\xff"}',
    "half a character": written(line(), line(1)) + '{"audio": "a.wav", "text": "\\ud800", "duration": 1}',
    "no JSON": written(line(), line(1)) + "{",
    "no object": written(line(), line(1)) + "[]",
    "not a number": written(line(), line(1, duration=float("nan"))),
    "infinity": written(line(), line(1)) + written(line(2)).replace("1.5", "Inf"),
    "labels": written(line(labels={"b": "1"}), line(1, labels={"a": "2"})),
    "prompts": written(line(prompt="?"), line(1, prompt="??")),
    "references": written(line(references=["x"]), line(1, references=["y"])),
    "nothing": "",
}


@pytest.mark.parametrize("kind", IRREGULAR)
def test_other_manifests(kind: str) -> None:
    """They are read line by line, with the same examples or the same error."""
    assert not agree(IRREGULAR[kind])


#: Values that a key may have as JSON, the usual ones among them.
VALUES = [
    '"a.wav"', '"b.wav"', '"./a.wav"', '"/a.wav"', '""', '" x\\u00a0"', '"\\u001fy"', '"Infinity"',
    '"\\ud83d\\ude00"', "0", "-0", "0.0", "-0.0", "1", "1.5", "01", "1e400", "1e-400", "0.1",
    "12345678901234567890", "NaN", "Inf", "true", "null", "{}", "[]", '{"text": "x"}', "}\n{", '"\n"', "}{",
]  # fmt: skip
KEYS = [
    "audio",
    "offset",
    "duration",
    "text",
    "id",
    "speaker",
    "split",
    "lang",
    "transcription",
    "labels",
    "prompt",
]


@st.composite
def manifests(draw: st.DrawFn) -> str:
    """Return a manifest of usual lines, of which a few have other keys and values."""
    keys = draw(st.lists(st.sampled_from(KEYS[4:8]), unique=True))
    lines = [
        {key: json.dumps(value) for key, value in line(number, **dict.fromkeys(keys, f"v{number}")).items()}
        for number in range(draw(st.integers(1, 6)))
    ]
    for _ in range(draw(st.integers(0, 2))):
        draw(st.sampled_from(lines))[draw(st.sampled_from(KEYS))] = draw(st.sampled_from(VALUES))
    ends = draw(st.sampled_from(["\n", "\n", "\n", "\r\n", "\r", "\n\n", "\x0b\n", " ", "\u2028"]))
    objects = ["{" + ", ".join(f'"{key}": {value}' for key, value in one.items()) + "}" for one in lines]
    return ends.join(objects) + draw(st.sampled_from(["", "\n"]))


SETTINGS: list[dict[str, Any]] = [{}, {"split": "v1"}, {"parts": {"dev": 0.5}}, {"text_column": "lang"}]


@given(manifests(), st.sampled_from(SETTINGS), st.sampled_from([1, 9]))
@example('{"audio": "a.wav", "duration": 1, "text": "\u2028x\x85", "offset": 1E2}', {}, 1)
def test_any_manifest(lines: str, settings: dict[str, Any], head: int) -> None:
    """The two ways to read it agree."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{MODULE}.blocks._HEAD", head)
        event("in blocks" if agree(lines, **settings) else "line by line")


def test_few_lines_are_not_worth_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small manifest has no index."""
    monkeypatch.setattr("steermoe_core.data.index.LEAST", 3)
    assert rows_in_blocks(JsonlConfig(path=write_manifest(tmp_path / "m.jsonl", line(), line(1)))) is None
