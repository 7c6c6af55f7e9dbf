"""Every way to damage an experiment file that anybody has thought of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.config.corpus import corpus

if TYPE_CHECKING:
    import random

STRANGE = [
    "\x00", "\x1b[2J", "\x07", "\x7f", "\x0b", "\x0c", "\r", "\x85", "\u2028", "\u2029", "\ufeff", "\u200b",
    "\u200d", "\u202e", "\u0301", "\u0e33", "学", "ｆ", "\u3000", "\xa0", "é", "🎧", "👩\u200d🔬", "\ufffe",
    "\U0010ffff", "е", "\t",
]  # fmt: skip
NUMBERS = [
    "1e999", "-1e999", "inf", "-inf", "nan", "+nan", "1" + "0" * 30, "1" + "0" * 400, "9" * 5000,
    "-" + "9" * 5000, "0x" + "f" * 5000, "1e" + "9" * 400, "0." + "1" * 5000, "9" * 5000 + ".5", "1e30",
    "1" + "0" * 18, "-1", "0", "-0.0", "9223372036854775808", "9007199254740993",
    "1_000_000_000_000_000_000_000", "1e-400", "0.1", "3.0", "0b1", "0o17",
]  # fmt: skip
OTHERS = [
    '""', '"false"', "true", "false", "[]", "{}", "[[]]", "[{}]", "[1, 'a']", "{ a = 1 }",
    '{ use = "none" }', '[{ use = "wer" }, { use = "wer" }]', "1979-05-27", "07:32:00",
    "1979-05-27T00:32:00-07:00", "1979-02-30", "None", "yes", '"unfinished', "'''\nlong\n'''", '"""\n\n"""',
    '"\\u0000"', '"a\\u0000b"', '"\\u001b[2J"', '"\\ud800"', '"学"', '"~nosuchuser/x"', '"~"', '"/dev/null"',
    "0x", "1__0", "01", "1.", ".5", "--1", '"' + "x" * 3000 + '"', '"\\x41"', '"\\e"', '"\x85"', '"\u202e"',
    "[1,\n 2,\n]", "{ a = 1,\n b = 2 }", "[nan]", "[inf, 1]", "{ dev = nan }", "[" + "9" * 4500 + "]",
    "[1, 1.0]", '"hub:a/b"', '"./none"', '"hub:"',
]  # fmt: skip
EXTENDS = [
    '"a\\u0000b.toml"', '"loop.toml"', '"folder"', '"missing.toml"', '"/dev/null"', '"experiment.toml"',
    '""', "3", "[]", '["a.toml"]', '"' + "x" * 5000 + '"', '"' + "x/" * 3000 + '"', '"~nosuchuser/a.toml"',
    '"~"', '"\\u001b[2J"', '"学.toml"', '"latin.toml"', '"wide.toml"', '"folder/link.toml"', '"a\\nb"',
    "true", "{}", '"/dev/zero"', '"pipe"', '"bad.toml"',
]  # fmt: skip
ENCODINGS = [
    "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-8-sig", "latin-1", "cp1252",
    "shift-jis", "gb18030", "utf-7", "cp037",
]  # fmt: skip
_KEY = r"""[\w-]+|"[^"\n]*"|'[^'\n]*'"""
_PAIR = re.compile(rf"^([ \t]*(?:{_KEY})(?:[ \t]*\.[ \t]*(?:{_KEY}))*[ \t]*=[ \t]*)(.*)$", re.MULTILINE)
_HEADER = re.compile(r"^\[+([^\[\]\n]+)\]+", re.MULTILINE)
_TOKEN = re.compile(r'"[^"\n]*"|[\w.+-]+|[^\w\s]')


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def nasty(chance: random.Random) -> str:
    """Return a value, or what only looks like one."""
    kind = chance.random()
    if kind < 0.35:
        return chance.choice(NUMBERS)
    if kind < 0.8:
        return chance.choice(OTHERS)
    if kind < 0.9:
        return _nested(chance)
    return '"' + "".join(chance.choice(STRANGE) for _ in range(chance.randint(1, 3))) + '"'


def _nested(chance: random.Random) -> str:
    depth = chance.choice([3, 20, 100, 300, 480, 900, 3000])
    opening, closing = chance.choice([("[", "]"), ("{ a = ", " }"), ("[{ a = ", " }]"), ("[1, ", "]")])
    return opening * depth + "1" + closing * depth


def flip(chance: random.Random, raw: bytes) -> bytes:
    """Flip bits of a few bytes."""
    found = bytearray(raw)
    for _ in range(chance.randint(1, 4) if found else 0):
        found[chance.randrange(len(found))] ^= 1 << chance.randrange(8)
    return bytes(found)


def cut(chance: random.Random, raw: bytes) -> bytes:
    """Take out a stretch, maybe all to the end."""
    start = chance.randrange(len(raw) + 1)
    return raw[:start] + (raw[start + chance.randint(1, 20) :] if chance.random() < 0.7 else b"")


def noise(chance: random.Random, raw: bytes) -> bytes:
    """Put random bytes in."""
    place = chance.randrange(len(raw) + 1)
    return raw[:place] + chance.randbytes(chance.randint(1, 6)) + raw[place:]


def strange(chance: random.Random, raw: bytes) -> bytes:
    """Put strange characters in."""
    text = _text(raw)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(text) + 1)
        text = text[:place] + chance.choice(STRANGE) + text[place:]
    return _raw(text)


def tokens(chance: random.Random, raw: bytes) -> bytes:
    """Delete a word, double it or exchange it for another."""
    text = _text(raw)
    found = list(_TOKEN.finditer(text))
    if not found:
        return raw
    one, other = chance.choice(found), chance.choice(found)
    new = chance.choice(["", one[0] * 2, f"{one[0]} {one[0]}", other[0]])
    return _raw(text[: one.start()] + new + text[one.end() :])


def lines(chance: random.Random, raw: bytes) -> bytes:
    """Shuffle lines, delete one, double one or move one."""
    found = raw.split(b"\n")
    one, other = chance.randrange(len(found)), chance.randrange(len(found))
    way = chance.randrange(5)
    if way == 0:
        chance.shuffle(found)
    elif way == 1:
        del found[one]
    elif way == 2:
        found.insert(other, found[one])
    elif way == 3:
        found.insert(other, found.pop(one))
    else:
        found[one], found[other] = found[other], found[one]
    return b"\n".join(found)


def values(chance: random.Random, raw: bytes) -> bytes:
    """Give a key another value, often of another type."""
    return _revalued(chance, raw, nasty(chance))


def numbers(chance: random.Random, raw: bytes) -> bytes:
    """Give a key a number that is too large, no number at all or the edge of one."""
    return _revalued(chance, raw, chance.choice(NUMBERS))


def nests(chance: random.Random, raw: bytes) -> bytes:
    """Nest lists, tables, keys or headers deep."""
    depth = chance.choice([3, 40, 100, 300, 900, 3000])
    way = chance.randrange(4)
    if way == 0:
        return raw + f"\n[a{'.a' * depth}]\nb = 1\n".encode()
    if way == 1:
        return raw + f"\na{'.a' * depth} = 1\n".encode()
    if way == 2:
        return raw + "".join(f"\n[[a{'.a' * n}]]" for n in range(min(depth, 300))).encode()
    return _revalued(chance, raw, _nested(chance))


def _revalued(chance: random.Random, raw: bytes, value: str) -> bytes:
    text = _text(raw)
    found = list(_PAIR.finditer(text))
    if not found:
        return raw
    pair = chance.choice(found)
    return _raw(text[: pair.start(2)] + value + text[pair.end(2) :])


def twice(chance: random.Random, raw: bytes) -> bytes:
    """Write a key or a table twice."""
    text = _text(raw)
    found = list(_PAIR.finditer(text)) + list(_HEADER.finditer(text))
    if not found:
        return raw
    return _raw(f"{text}\n{chance.choice(found)[0]}\n")


def tables(chance: random.Random, raw: bytes) -> bytes:
    """Write `[a]` as `[[a]]` and the other way round, dot its keys or put it on one line."""
    text = _text(raw)
    headers = list(_HEADER.finditer(text))
    if not headers:
        return raw
    index = chance.randrange(len(headers))
    header, name = headers[index], headers[index][1]
    end = headers[index + 1].start() if index + 1 < len(headers) else len(text)
    pairs = list(_PAIR.finditer(text, header.end(), end))
    way = chance.randrange(4)
    if way == 0:
        new = f"[{name}]" if header[0].startswith("[[") else f"[[{name}]]"
        return _raw(text[: header.start()] + new + text[header.end() :])
    if way == 1:
        inner = ", ".join(f"{pair[1]}{pair[2].partition(' #')[0]}" for pair in pairs)
        return _raw(f"{name} = {{ {inner} }}\n" + text[: header.start()] + text[end:])
    if way == 2:
        dotted = "".join(f"{name}.{pair[1].lstrip()}{pair[2]}\n" for pair in pairs)
        return _raw(dotted + text[: header.start()] + text[end:])
    other = chance.choice(headers)[1]
    return _raw(text[: header.start()] + f"[{other}.{name}]" + text[header.end() :])


def typos(chance: random.Random, raw: bytes) -> bytes:
    """Misspell a key or the name of a table."""
    text = _text(raw)
    found = list(re.finditer(r"^[ \t]*\[*[ \t]*([\w-]+)", text, re.MULTILINE))
    if not found:
        return raw
    match = chance.choice(found)
    word, place = match[1], chance.randrange(len(match[1]))
    new = chance.choice(
        [
            word[:place] + word[place + 1 :],
            word[:place] + word[place] + word[place:],
            word[:place] + chance.choice(STRANGE) + word[place:],
            word.upper(),
            word.replace("e", "е"),
            f'"{word} "',
            f"'{word}'",
            "".join(f"\\u{ord(letter):04x}" for letter in word).join('""'),
            word + "s",
        ]
    )
    return _raw(text[: match.start(1)] + new + text[match.end(1) :])


def encodings(chance: random.Random, raw: bytes) -> bytes:
    """Save the file in another encoding."""
    text = raw.decode("utf-8", "replace") + "\n# é\n"
    return text.encode(chance.choice(ENCODINGS), "replace")


def line_ends(chance: random.Random, raw: bytes) -> bytes:
    """Exchange all line ends, or a few."""
    end = chance.choice(["\r\n", "\r", "\x85", "\u2028", "\n\r", "\x0b", "\r\r\n"]).encode()
    if chance.random() < 0.5:
        return raw.replace(b"\n", end)
    parts = raw.split(b"\n")
    return b"".join(part + (end if chance.random() < 0.2 else b"\n") for part in parts)


def extends(chance: random.Random, raw: bytes) -> bytes:
    """Extend what cannot be extended."""
    text = re.sub(r"^extends.*\n", "", _text(raw), flags=re.MULTILINE)
    return _raw(f"extends = {chance.choice(EXTENDS)}\n{text}")


def sweeps(chance: random.Random, raw: bytes) -> bytes:
    """Add a sweep over values that are none."""
    keys = [
        "train.steps",
        "experiment.seed",
        "adapter",
        "encoder.weights",
        "train.clip",
        "metrics",
        "nothing",
        "a b",
        "²",
    ]
    axes = []
    for key in chance.sample(keys, chance.randint(0, 3)):
        items = ", ".join(
            nasty(chance) if chance.random() < 0.5 else "1" for _ in range(chance.randint(0, 3))
        )
        axes.append(f'"{key}" = {chance.choice([f"[{items}]", f"[{items}]", f"[{items}]", nasty(chance)])}\n')
    if chance.random() < 0.1:
        axes = [f'"a.b{n}" = [{", ".join(map(str, range(99)))}]\n' for n in range(6)]
    header = chance.choice(["[sweep]", "[sweep]", "[sweep]", "[[sweep]]", "[sweep.train]"])
    return raw + f"\n{header}\n{''.join(axes)}".encode()


def splice(chance: random.Random, raw: bytes) -> bytes:
    """Continue with the middle of another file."""
    other = chance.choice(list(chance.choice(corpus()).values())).encode()
    return raw[: chance.randrange(len(raw) + 1)] + other[chance.randrange(len(other)) :]


DAMAGES = [
    flip, cut, noise, strange, tokens, lines, values, values, numbers, nests, twice, tables, typos,
    encodings, line_ends, extends, sweeps, splice,
]  # fmt: skip
