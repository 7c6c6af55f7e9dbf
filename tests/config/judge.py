"""What a check has to make of any file: an experiment that has what the file says, or where it is wrong.

Every key that tomli reads in an accepted file, and in what that extends, is in the resolved table with an
equal value of an equal type, and `steermoe config` writes a file that resolves to the same. Every problem of
a refused file points at a line that has to do with it, and its caret at the character that is meant.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import traceback
from contextlib import contextmanager
from pathlib import Path

import attrs
import tomli
from rich.cells import cell_len

from steermoe_core.config.groups import installed_groups
from steermoe_core.config.resolve import resolve
from steermoe_core.config.sweep import resolve_sweep
from steermoe_core.errors import ConfigError, PluginError
from steermoe_core.plugins import load_registry
from tests.config.cases import Case, write


class _Stopped(BaseException):
    """The time is up."""


@contextmanager
def inside(folder: Path):
    """Work in a folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def limit(seconds: int):
    """Stop what takes longer; 0 stops nothing."""

    def stop(*_):
        raise _Stopped

    if not seconds:
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


inf = float("inf")
#: Places where one table stands.
SINGLE = [
    ("experiment",), ("encoder",), ("projector",), ("decoder",), ("collator",), ("evaluate",),
    ("data",), ("train",), ("data", "eval"), ("data", "validate"), ("train", "learning_rate"),
    ("train", "validate"),
]  # fmt: skip
GOOD = {"resolved", "refused"}


def verdict(one: Case, folder: Path, registry, seconds: int = 0) -> tuple[str, str]:
    """Return the outcome of a check of a case, and what there is to say about it.

    :param seconds: after which it counts as hanging; 0 waits.
    """
    path = write(one, folder)
    with inside(path.parent):
        path = Path(path.name)
        try:
            with limit(seconds):
                return _verdict(one, path, registry)
        except _Stopped:
            return "hangs", ""


def _verdict(one: Case, path: Path, registry) -> tuple[str, str]:
    try:
        cells = resolve_sweep(path, one.flags, registry)
    except (ConfigError, PluginError) as error:
        str(error)
        return _refused(path, error.problems)
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"({Path(last.filename).name}:{last.lineno})"
        return "traceback", f"{type(error).__name__}: {str(error)[:80]} {place}"
    return next(_accepted(one, path, cells, registry), ("resolved", ""))


def _accepted(one: Case, path: Path, cells, registry):
    """Yield what is wrong with the experiments that a check made of a case."""
    try:
        table, folders = merged(path)
    except ListError as error:
        yield "silent", f"a list for a table: {error}"
        return
    except (ValueError, RecursionError) as error:
        yield "silent", f"what is no TOML: {error}"
        return
    expected = [*_cells(table)]
    if len(expected) != len(cells):
        yield "silent", f"{len(cells)} cells instead of {len(expected)}"
    for cell, wanted in zip(cells, expected, strict=False):
        for flag in sorted(one.flags, key=lambda flag: not flag.split("=")[0].strip().endswith("use")):
            wanted = _flagged(wanted, flag)  # noqa: PLW2901
        for difference in differences(wanted, cell.resolved.table, folders):
            yield "silent", difference
        again = Path("again.toml")
        try:
            again.write_text(cell.resolved.to_toml(), encoding="utf-8")
            second = resolve(again, [], registry)
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            yield "round trip", f"config FILE does not resolve: {type(error).__name__}"
            return
        if second.table != cell.resolved.table or second.digest != cell.resolved.digest:
            yield "round trip", "config FILE resolves to something else"
        if [*differences(tomli.loads(again.read_text(encoding="utf-8")), second.table, folders)]:
            yield "round trip", "config FILE resolves to other values"


def merged(path: Path) -> tuple[dict, list[Path]]:
    """Return what tomli reads in a file and in those that it extends, and their folders."""
    chain, folders = [], [Path.cwd()]
    while path is not None:
        table = tomli.loads(path.read_bytes().decode("utf-8-sig"))
        folders.append(path.absolute().parent)
        above = table.pop("extends", None)
        for names in SINGLE:
            if isinstance(_at(table, names), list):
                raise ListError(names)
        chain.append(table)
        path = None if above is None else path.parent / Path(above).expanduser()
    result: dict = {}
    for table in reversed(chain):
        result = laid(result, table)
    return result, folders


def _at(value, names):
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


class ListError(ValueError):
    """A list stands in a file in the place of a table, and another file may cover it."""


def laid(below, above):
    """Return a value laid over another."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    if "use" in below and "use" in above and below["use"] != above["use"]:
        return above
    return {
        **below,
        **{key: laid(below[key], value) if key in below else value for key, value in above.items()},
    }


def _cells(table: dict):
    """Yield the tables of a sweep, or the one."""
    table = dict(table)
    axes = []

    def walk(value, keys):
        for key, inner in value.items():
            names = [*keys, *_names(key)]
            if isinstance(inner, dict):
                walk(inner, names)
            else:
                axes.append((names, inner))

    walk(table.pop("sweep", {}), [])
    for values in itertools.product(*(items for _, items in axes)):
        own = table
        pairs = sorted(
            zip([names for names, _ in axes], values, strict=True), key=lambda pair: (pair[0][-1] != "use", 0)
        )
        for names, value in pairs:
            own = _put(own, names, value)
        yield own


def _names(key: str) -> list[str]:
    table, names = tomli.loads(f"{key} = 0"), []
    while isinstance(table, dict):
        ((name, table),) = table.items()
        names.append(name)
    return names


def _put(holder, names, value):
    """Return a table with a value laid over what is at a path."""
    if not names:
        return laid(holder, value)
    name, *rest = names
    if isinstance(holder, list):
        items = [*holder, None] if int(name) == len(holder) else list(holder)
        items[int(name)] = _put(items[int(name)], rest, value)
        return items
    if holder is None and name == "0":
        return [_put(None, rest, value)]
    if isinstance(holder, dict) and name == "0" and "use" in holder:
        return _put(holder, rest, value)
    holder = holder if isinstance(holder, dict) else {}
    return {**holder, name: _put(holder.get(name), rest, value)}


def _flagged(table: dict, flag: str) -> dict:
    """Return a table with a flag laid over it."""
    for equals in (match.start() for match in re.finditer("=", flag)):
        try:
            names = _names(flag[:equals].strip())
        except tomli.TOMLDecodeError:
            continue
        written = flag[equals + 1 :].strip()
        try:
            (value,) = tomli.loads(f"v = {written}").values()
        except (ValueError, RecursionError):
            value = written
        return _put(table, names, value)
    raise AssertionError(flag)


def _chosen(table: dict, path: tuple) -> dict:
    """Return a table without rates for components that are not chosen: an extended file may have them."""
    groups = installed_groups(load_registry()) if path == ("train", "learning_rate") else {}
    return {key: value for key, value in table.items() if key not in groups}


def differences(written, resolved, folders: list[Path], path: tuple = ()):
    """Yield what a resolved value has not of what was written."""
    where = ".".join(map(str, path))
    if isinstance(written, dict) and isinstance(resolved, list) and len(resolved) == 1:
        (resolved,) = resolved
    if isinstance(written, dict) and isinstance(resolved, dict):
        for key, value in _chosen(written, path).items():
            if key not in resolved:
                yield f"{where}.{key} is dropped"
            else:
                yield from differences(value, resolved[key], folders, (*path, key))
    elif isinstance(written, list) and isinstance(resolved, list) and len(written) == len(resolved):
        for number, (one, other) in enumerate(zip(written, resolved, strict=True)):
            yield from differences(one, other, folders, (*path, number))
    elif (
        type(written) is int
        and type(resolved) is float
        and written == resolved
        and resolved not in (inf, -inf)
    ):
        pass
    elif type(written) is not type(resolved) or written != resolved or written in (inf, -inf):
        paths = (
            [(folder / Path(written).expanduser()).as_posix() for folder in folders]
            if isinstance(written, str)
            else []
        )
        if resolved not in paths or "\0" in written:
            yield f"{where} is written as {written!r:.80} and read as {resolved!r:.80}"


def _refused(path: Path, problems) -> tuple[str, str]:
    """Return whether each problem points at a place that has to do with it."""
    if not problems:
        return "no problem", ""
    for problem in problems:
        for fault in _misplaced(path, problem):
            return fault, f"{problem.code} {problem.message[:90]}"
    return "refused", ""


def _misplaced(path: Path, problem):
    """Yield what is wrong with the place of a problem."""
    if any(not one.isprintable() and one not in "\n\t" for one in "\n".join(_quoted(problem))):
        yield "control characters"
    if problem.line is None:
        if not _nowhere(path, problem):
            yield "no place"
        return
    raw = Path(problem.file).read_bytes()
    text = raw.decode("utf-8-sig", "backslashreplace").replace("\r\n", "\n")
    lines = [*text.split("\n"), *[""] * problem.line]
    line = lines[problem.line - 1]
    if problem.code != "E002" and (problem.source != line or not 1 <= problem.column <= len(line) + 1):
        yield "another line"
    if not _under(problem):
        yield "caret"
    rules = {
        "E002": lambda: problem.line in _first_wrong(raw),
        "E003": lambda: not _is_behind(text, problem, line),
    }
    if not rules.get(problem.code, lambda: _related(problem, line))():
        yield "unrelated line"


def _quoted(problem) -> list[str]:
    """Return the lines that quote the file and point into it."""
    if problem.source is None:
        return []
    head = str(problem).removeprefix(str(attrs.evolve(problem, source=None, hint="", notes=())))
    return head.strip("\n").split("\n")[:2]


def _under(problem) -> bool:
    """Tell whether the caret stands under the first character that is meant."""
    source, carets = _quoted(problem)
    meant = problem.source[problem.column - 1 : problem.column]
    offset = cell_len(carets[: carets.index("^")])
    if not meant or not meant.isprintable() or "\t" in carets:
        return True
    places = {cell_len(source[:place]) for place, character in enumerate(source) if character == meant}
    return offset in places


def _nowhere(path: Path, problem) -> bool:
    """Tell whether a problem can have no line: of a flag, of a whole file, of what is written nowhere."""
    if problem.file == "--set":
        return problem.source is not None
    if problem.code == "E001" or not Path(problem.file).read_bytes():
        return True
    try:
        table, _ = merged(path)
    except (ValueError, RecursionError):
        return False
    return not problem.path or problem.path[0] not in table


def _first_wrong(raw: bytes) -> set[int]:
    """Return the line of the first byte that is not UTF-8, and the first of what may be another encoding."""
    found = {1} if b"\0" in raw[:4] or raw.startswith((b"\xff\xfe", b"\xfe\xff")) else set()
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        found.add(raw[: error.start].count(b"\n") + 1)
    return found


def _is_behind(text: str, problem, line: str) -> bool:
    """Tell whether a syntax error stands behind the place that tomli names."""
    try:
        tomli.loads(text.replace("\r", "\0"))
    except tomli.TOMLDecodeError as error:
        number = re.search(r"\(at line (\d+), column", str(error))
        return bool(number) and problem.line > int(number[1])
    except (ValueError, RecursionError):
        pass
    return not re.search(r"\[|\{|\.|\w{9}", line)


def _related(problem, line: str) -> bool:
    """Tell whether a line names a part of a problem's path, or something that its message quotes."""
    line += re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), line)
    names = [name for name in problem.path if isinstance(name, str)]
    quoted = re.findall(r'"([^"]+)"|([\w.]+)', problem.message)
    return (
        any(name in line for name in names)
        or any(part and part in line for pair in quoted for part in pair)
        or not names
    )
