"""Positions of keys, with tomli as the judge of what the text says."""

from __future__ import annotations

import json
import time

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from steermoe_core.config.text.locate import locate

BARE = st.text("abcxyz019-_", min_size=1, max_size=4)
ODD = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=5)
TEXTS = st.text(st.sampled_from("ab \"'#[]{}=,.\\\n\té学"), max_size=12)


def key(name: str) -> str:
    """Write a key, quoted where it must be."""
    bare = name.isascii() and name.replace("-", "a").replace("_", "a").isalnum()
    return name if bare else json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f")


def multi_line(text: str) -> str:
    """Write a multi-line basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"', 1).replace('""', '"\\"').replace('""', '"\\"')
    return f'"""\n{escaped}"""'


NUMBERS = st.sampled_from(
    ["1", "-2", "+3.5", "1e-05", "inf", "true", "false", "1979-05-27 07:32:00", "0x1F", "1_000"]
)
BASIC = TEXTS.map(lambda text: json.dumps(text, ensure_ascii=False))
LITERAL = TEXTS.map(lambda text: "'" + text.replace("'", "").replace("\n", "") + "'")
LONG = TEXTS.map(multi_line)
LONG_LITERAL = TEXTS.map(lambda text: "'''" + text.replace("'", "") + "''''")
GAPS = st.sampled_from(["", " ", "\n  ", " # ] } , = [x]\n"])


@st.composite
def arrays(draw, values):
    """Write an array over one or more lines, with comments."""
    gap = draw(GAPS)
    items = draw(st.lists(values, max_size=3))
    return (
        "["
        + ",".join(f"{gap}{item}{gap}" for item in items)
        + (f",{gap}" if items and draw(st.booleans()) else "")
        + "]"
    )


@st.composite
def inline_tables(draw, values):
    """Write an inline table with bare, quoted and dotted keys."""
    names = draw(st.lists(st.one_of(BARE, ODD), unique=True, max_size=3))
    pairs = [f"{key(name)}{draw(st.sampled_from(['', '.k']))} = {draw(values)}" for name in names]
    return "{ " + ", ".join(pairs) + " }"


VALUES = st.recursive(
    st.one_of(NUMBERS, BASIC, LITERAL, LONG, LONG_LITERAL),
    lambda inner: st.one_of(arrays(inner), inline_tables(inner)),
    max_leaves=6,
)


@st.composite
def documents(draw):
    """Write a document line by line, keeping only the statements after which tomli still accepts it."""
    text = ""
    for _ in range(draw(st.integers(1, 8))):
        names = [key(name) for name in draw(st.lists(st.one_of(BARE, ODD), min_size=1, max_size=3))]
        dotted = draw(st.sampled_from([".", " . "])).join(names)
        statement = draw(
            st.one_of(
                st.just(f"[{dotted}] # [no.header]\n"),
                st.just(f"[[{dotted}]]\n"),
                VALUES.map(lambda value, dotted=dotted: f"  {dotted} = {value} # = 1\n"),
                st.just("\n# [comment] = 1\n"),
            )
        )
        try:
            tomli.loads(text + statement)
        except tomli.TOMLDecodeError:
            continue
        text += statement
    return text


def paths(value, path=()):
    """Yield every key path of a parsed document."""
    if path:
        yield path, value
    if isinstance(value, (dict, list)):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(item, (*path, name))


@settings(max_examples=300, deadline=None)
@given(documents())
def test_every_key_stands_where_it_is_said_to_stand(text):
    """The text at a key's span is that key, and the text at a plain value's span is that value."""
    spots = locate(text)
    known = dict(paths(tomli.loads(text)))
    assert set(spots) == set(known)
    for path, spot in spots.items():
        written = text[spot.key.start : spot.key.end]
        value = text[spot.value.start : spot.value.end]
        if isinstance(path[-1], str):
            assert list(tomli.loads(f"{written} = 0")) == [path[-1]]
        if spot.value != spot.key and not isinstance(known[path], dict):
            assert repr(tomli.loads(f"v = {value}")["v"]) == repr(known[path])


@pytest.mark.parametrize(
    ("text", "path", "place"),
    [
        ("a = 1\n", ("a",), "a"),
        ("[x.y]\nz = 1\n", ("x", "y", "z"), "z"),
        ("[[m]]\nu = 1\n[[m]]\nu = 2 # second\n", ("m", 1, "u"), "u = 2"),
        ("t = '''\nk = 1\n'''\nk = 2\n", ("k",), "k = 2"),
        ("p = { a = { b = 1 } }\n", ("p", "a", "b"), "b"),
        ('"a.b" . c = 1\n', ("a.b", "c"), "c"),
        ("[[a]]\n[a.b]\nc = 1\n[[a]]\n[a.b]\nc = 3\n", ("a", 1, "b", "c"), "c = 3"),
    ],
)
def test_each_way_to_write_a_key(text, path, place):
    """Tables, dotted and quoted keys, arrays of tables, inline tables, keys beside multi-line text."""
    assert text[locate(text)[path].key.start :].startswith(place)


def test_what_only_looks_like_a_key_is_none():
    """Text inside strings and comments has no spot."""
    assert set(locate('a = """\nb = 1\n""" # c = 2\n')) == {("a",)}


def test_a_long_file_is_scanned_in_a_moment():
    """3000 lines take well under a second of one core."""
    text = "".join(f"[table-{n}]\nkey = [1, 2]\nother = 'x'\n" for n in range(1000))
    start = time.process_time()
    locate(text)
    assert time.process_time() - start < 1
