"""Files that cannot be read as TOML: each says where and why, in the lines that TOML counts."""

from __future__ import annotations

import os
import sys

import pytest

from steermoe_core.config.resolve import resolve
from steermoe_core.config.sweep import resolve_sweep
from steermoe_core.config.text.locate import DEEPEST
from steermoe_core.config.text.syntax import BeyondError, NotTomlError, loads
from steermoe_core.errors import ConfigError, ExitCode


def refused(path, registry, *flags):
    """Return the problems of a file."""
    with pytest.raises(ConfigError) as caught:
        resolve(path, flags, registry)
    assert caught.value.exit_code == ExitCode.USAGE
    assert str(caught.value).isascii() or "\x1b" not in str(caught.value)
    return caught.value.problems


def refused_bytes(raw, minimal, registry):
    """Return the one problem of a file with these bytes."""
    minimal.write_bytes(raw)
    (problem,) = refused(minimal, registry)
    return problem


DIGITS = "9" * 5000


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (f"a = 1\nb = {DIGITS}\n", (2, 5), "a whole number is at most 9223372036854775807"),
        (f"a = '{DIGITS}'\nb = [1, -{DIGITS}] # {DIGITS}0\n", (2, 9), "a whole number is at most"),
        (f"a = {DIGITS}.5\nb = {DIGITS}x\n", (2, 5), "a whole number is at most"),
        ("a = 0x" + "f" * 5000, (1, 5), "a whole number is at most"),
        ("a = 9223372036854775808", (1, 5), "a whole number is at most"),
        ("x = 1\na = " + "[" * 900 + "]" * 900, (2, 5 + DEEPEST), "nested more than 64 deep"),
        ("x = 1\na = " + "[" * 100 + "]" * 100, (2, 5 + DEEPEST), "nested more than 64 deep"),
        ("a = " + "{ a = " * 900 + "1" + " }" * 900, (1, 5 + 6 * DEEPEST), "nested more than 64 deep"),
        ("[a" + ".a" * 900 + "]", (1, 2 + 2 * DEEPEST), "nested more than 64 deep"),
        ("a" + ".a" * 2000 + " = 1", (1, 1 + 2 * DEEPEST), "nested more than 64 deep"),
        ("a = 1\x85b = 2\n", (1, 6), "the line should end here"),
        ("# x\u2028y\x85\na = 1\nb =\n", (3, 4), "there is no TOML value here"),
        ("a = 1\rb = 2\n", (1, 6), "the line should end here"),
        ("a = 1\r\nb = '''\r\r\n'''\nc = 1", (2, 8), "TOML does not allow this character here"),
        ("a = 1 # x\x1b\n", (1, 10), "TOML does not allow this character here"),
        ("a = 1\nb = 'x\x00'\n", (2, 7), "TOML does not allow this character here"),
        ("\ufeffa = 1\n", (1, 1), "invalid statement"),
    ],
)
def test_what_is_no_toml_says_where(text, place, message, minimal, registry):
    """One problem, at the character that is wrong."""
    problem = refused_bytes(b"\xef\xbb\xbf" + text.encode(), minimal, registry)
    assert ((problem.line, problem.column), problem.code) == (place, "E003")
    assert message in problem.message


@pytest.mark.parametrize(
    ("end", "name"), [("\r", "U+000D"), ("\x85", "U+0085"), ("\u2028", "U+2028"), ("\x0b", "U+000B")]
)
def test_other_line_ends_are_named(end, name, minimal, registry):
    """They end a line elsewhere, and an editor may not show them."""
    problem = refused_bytes(f"a = 1{end}b = 2{end}".encode(), minimal, registry)
    assert problem.hint == f"{name} does not end a line in TOML: save the file with line feeds"
    assert (problem.line, problem.column) == (1, 6)


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-16", "UTF-16"), ("utf-16-le", "UTF-16"), ("utf-16-be", "UTF-16"),
        ("utf-32", "UTF-32"), ("utf-32-le", "UTF-32"), ("utf-32-be", "UTF-32"),
    ],
)  # fmt: skip
def test_other_encodings_are_named(encoding, name, minimal, registry):
    """With a byte-order mark or without; the quoted line is what an editor shows."""
    problem = refused_bytes(minimal.read_text().encode(encoding), minimal, registry)
    assert (problem.code, problem.line, problem.column) == ("E002", 1, 1)
    assert problem.message == f"the file is {name}, not UTF-8"
    assert problem.source.strip("\ufeff") == "[experiment]"


def test_a_byte_that_is_not_utf8_has_its_place(minimal, registry):
    """Counted in characters; the byte itself is shown as an escape."""
    problem = refused_bytes("学 = 1\r\né = 'ü'\r\n".encode() + b"b = 'x\xff\xfe'\r\n", minimal, registry)
    assert (problem.line, problem.column, problem.width) == (3, 7, 4)
    assert problem.source == r"b = 'x\xff\xfe'"


def test_a_stray_nul_is_no_other_encoding(minimal, registry):
    """Also as the first character."""
    for raw in (b"\0" + minimal.read_bytes(), b"a\0" + minimal.read_bytes()):
        assert refused_bytes(raw, minimal, registry).code == "E003"


def test_lines_are_those_of_toml(minimal, registry):
    """A comment with other line ends in it is one line."""
    text = minimal.read_text().replace('name = "tiny"', 'name = "tiny" # \x85 \u2028 \u2029 é')
    minimal.write_text(text.replace("steps = 10", "steps = -1"), encoding="utf-8")
    (problem,) = refused(minimal, registry)
    assert (problem.line, problem.column) == (16, 9)
    assert problem.source == "steps = -1"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (r"a\u0000b.toml", "a path cannot contain a NUL character"),
        ("loop.toml", "too many levels of symbolic links"),
        ("~nosuchuser/a.toml", "there is no such user"),
        ("x" * 5000, "file name too long"),
        ("folder", "is a directory"),
        ("pipe", "it is a device or a pipe, not a file"),
        ("/dev/zero", "it is a device or a pipe, not a file"),
        ("", "is a directory"),
    ],
)
def test_what_cannot_be_extended_says_why(name, message, minimal, registry):
    """At the text of `extends`."""
    folder = minimal.parent
    (folder / "loop.toml").symlink_to("loop.toml")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    problem = refused_bytes(f'x = 1\nextends = "{name}"\n'.encode(), minimal, registry)
    assert (problem.code, problem.line, problem.column) == ("E004", 2, 12 if name else 11)
    assert problem.message.endswith(message)


@pytest.mark.parametrize(
    "header", ["train", "experiment", "encoder", "data.eval", "projector", "train.validate"]
)
def test_a_list_in_the_place_of_a_table_is_refused_at_its_header(header, minimal, registry):
    """Also where the table of an extending file would replace it."""
    minimal.write_text(f"# a comment\n[[{header}]]\n")
    top = minimal.with_name("top.toml")
    top.write_text(f'extends = "{minimal.name}"\n[{header}]\n')
    for path in (minimal, top):
        (problem,) = [one for one in refused(path, registry) if one.code == "E101"]
        assert (problem.line, problem.source) == (2, f"[[{header}]]")
        assert problem.column == 1 + problem.source.index(header.rpartition(".")[2])
        assert problem.hint == f"write [{header}]"


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        (f"train.steps={DIGITS}", "a whole number is at most"),
        ("train.steps=" + "[" * 900 + "]" * 900, "nested more than 64 deep"),
        ("a" + ".a" * 900 + "=1", "nested more than 64 deep"),
        ("a" + ".a" * 60 + "=" + "[" * 60 + "]" * 60, "nested more than 64 deep"),
        ("encoder.weights=\udcff", "the flag is not UTF-8 text"),
        (f"metrics.{DIGITS}.use=wer", "metrics has 1 entries"),
        ("metrics.².use=wer", "[[metrics]] is a list of 1"),
        ("metrics.٠.use=wer", "[[metrics]] is a list of 1"),
    ],
)
def test_flags_have_the_same_limits(flag, message, minimal, registry):
    """One problem that points into the flag."""
    minimal.write_text(minimal.read_text() + '[[metrics]]\nuse = "wer"\n')
    (problem,) = refused(minimal, registry, flag.replace("²", '"²"').replace("٠", '"٠"'))
    assert (problem.code, problem.file) == ("E006", "--set")
    assert message in problem.message
    assert problem.source[problem.column - 1 :]


@pytest.mark.parametrize(
    ("axis", "place", "code"),
    [
        ('"train.steps" = [1, inf]', (2, 21), "E101"),
        ('"train.clip" = [1.0, inf, nan]', (2, 22), "E301"),
        (f'"train.steps" = [{DIGITS}]', (2, 18), "E003"),
        ('"a' + ".a" * 900 + '" = [1]', (2, 1), "E006"),
        ('"sweep.train.steps" = [1]', (2, 1), "E006"),
        ('"extends" = ["a.toml"]', (2, 1), "E006"),
        ('"experiment.seed" = [' + ", ".join(map(str, range(10_001))) + "]", (2, 1), "E301"),
    ],
)
def test_axes_have_the_same_limits(axis, place, code, minimal, registry):
    """At the axis or at the value."""
    minimal.write_text(f"[sweep]\n{axis}\n{minimal.read_text()}")
    with pytest.raises(ConfigError) as caught:
        resolve_sweep(minimal, [], registry)
    problem = caught.value.problems[0]
    assert (problem.line, problem.column, problem.code) == (*place, code)


def test_a_lower_limit_of_python_is_no_other_message(minimal, monkeypatch):
    """`PYTHONINTMAXSTRDIGITS` may be as low as 640."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        with pytest.raises(BeyondError, match="a whole number is at most"):
            loads("a = " + "1" * 700)
    finally:
        sys.set_int_max_str_digits(before)


def test_the_first_mistake_is_the_one_that_is_told():
    """Not a carriage return further down."""
    with pytest.raises(NotTomlError, match="there is no TOML value here"):
        loads("a =\nb = 1\rc = 2\n")
