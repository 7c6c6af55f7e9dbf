"""Records: a file is what its class declares, or the sentence says which value is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import pytest

from steermoe_core.errors import RunFolderError
from steermoe_core.system.records import DamagedError, Record, parsed, plain, rest

if TYPE_CHECKING:
    from pathlib import Path


@attrs.frozen(kw_only=True)
class Layer:
    """An open part of a record."""

    layer: int | str
    load: list[float] = attrs.field(factory=list)
    loss: float | None = None
    others: dict[str, Any] = rest()


@attrs.frozen(kw_only=True)
class Shelf(Record):
    """A record of format 2."""

    FORMAT: ClassVar[int] = 2
    REMEDY: ClassVar[str] = "write {path} again in {folder}"

    name: str
    sizes: dict[str, float] = attrs.field(factory=dict)
    best: Layer | None = None
    layers: list[Layer] = attrs.field(factory=list)


SHELF = Shelf(
    name="one",
    sizes={"a": 1, "b": 0.5},
    layers=[Layer(layer="after", others={"mine": [1]}), Layer(layer=0, load=[0.5, 0.5])],
)


def test_a_record_is_read_as_it_was_written() -> None:
    """Whole numbers stay whole; the format comes first; keys that a plugin added are kept."""
    text = json.dumps(plain(SHELF))

    assert parsed(text, Shelf) == SHELF
    assert text.startswith('{"format": 2, "name": "one", "sizes": {"a": 1, "b": 0.5}, "best": null')
    assert '{"layer": "after", "mine": [1]}' in text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("3", "it is not a table"),
        ("{}", "it has no name"),
        ('{"name": null}', "name is not a text"),
        ('{"name": "x", "sizes": []}', "sizes is not a table"),
        ('{"name": "x", "sizes": {"a": true}}', "sizes.a is not a number"),
        ('{"name": "x", "layers": {}}', "layers is not a list"),
        ('{"name": "x", "layers": [{"layer": 0}, {}]}', "it has no layers.1.layer"),
        ('{"name": "x", "best": {"layer": 0.5}}', "best.layer is not a whole number"),
        ('{"name": "x", "best": {"layer": 0, "loss": null}}', "best.loss is not a number"),
        (
            '{"name": "x", "format": 3}',
            "has format 3, and this steermoe reads 2; use the version that wrote it",
        ),
    ],
)
def test_a_fault_names_the_place(text: str, fault: str) -> None:
    """By the keys that lead there."""
    with pytest.raises(DamagedError) as caught:
        parsed(text, Shelf)
    assert str(caught.value) == fault


def test_files(tmp_path: Path) -> None:
    """A missing file, a damaged one and one of a later version, each with its remedy."""
    path = tmp_path / "shelf.json"
    assert Shelf.find(path) is None
    with pytest.raises(RunFolderError, match=r"shelf\.json is missing; write .*shelf\.json again in "):
        Shelf.read(path)

    path.write_text('{"name": 3}')
    assert Shelf.salvage(path) is None
    with pytest.raises(RunFolderError, match=r"shelf\.json is damaged \(name is not a text\); write "):
        Shelf.find(path)

    path.write_text('{"name": "x", "format": 3}')
    for read in (Shelf.read, Shelf.find, Shelf.salvage):
        with pytest.raises(RunFolderError, match=r"shelf\.json has format 3"):
            read(path)

    path.write_text('{"name": "x", "more": 1}')
    assert Shelf.read(path) == Shelf(name="x")
