"""The reference of the public names, written from their docstrings.

``python -m docs.generate.api > docs/reference/api.md`` renews the page.
"""

from __future__ import annotations

import inspect
import re
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import steermoe_core

if TYPE_CHECKING:
    from collections.abc import Iterator

_INTRODUCTION = """\
# Public names

This page is generated: `python -m docs.generate.api > docs/reference/api.md`.

A plugin imports from `steermoe_core`, in its tests from `steermoe_core.testing`, and from nothing deeper.
[API stability](../explanation/api-stability.md) says for how long these names keep their meaning; every other
module may change from one version to the next.

A name is imported on first use. Those marked *light* need neither torch nor transformers nor numpy: they
alone may be imported in a plugin's `__init__.py` and in the module of its settings.

| name | what it is |
| --- | --- |
"""

#: Modules that import nothing heavy.
_LIGHT = {"component", "config", "errors", "hookspecs"}
#: Fields of a docstring, each up to the next or to an empty line.
_FIELD = re.compile(
    r"^:(param|ivar|raises|returns)\s*(\w*):\s*(.*?)(?=^:\w|^\s*$|\Z)", re.MULTILINE | re.DOTALL
)
#: What `#:` says above a name, as in a class body or a module.
_COMMENTED = re.compile(r"((?:^ *#: .*\n)+) *(\w+)(?:: ([^=\n]+?))?(?: = (.*))?$", re.MULTILINE)


def reference() -> str:
    """Return the page as Markdown."""
    names = steermoe_core.__all__
    rows = "".join(f"| [`{name}`](#{name.lower()}) | {_line(name)}{_weight(name)} |\n" for name in names)
    return "\n".join([_INTRODUCTION + rows, *map(_section, names)])


def light(name: str) -> bool:
    """Tell whether a public name lives where torch is never imported."""
    return _home(name).rpartition(".")[2] in _LIGHT


def _home(name: str) -> str:
    return steermoe_core._HOMES[name]  # noqa: SLF001 - the page is about this package


def _weight(name: str) -> str:
    return " *(light)*" if light(name) else ""


def _value(name: str) -> Any:
    """Return what a name stands for; of the package that can be called, the function."""
    value = getattr(steermoe_core, name)
    return type(value).__call__ if inspect.ismodule(value) else value


def _documentation(name: str) -> str:
    """Return the docstring, or the comment where a name is neither class nor function."""
    value = _value(name)
    if inspect.isclass(value) or inspect.isfunction(value):
        return inspect.cleandoc(value.__doc__ or "")
    return _comments(import_module(_home(name)))[name][0]


def _line(name: str) -> str:
    return _plain(_documentation(name).partition("\n")[0])


def _section(name: str) -> str:
    value = _value(name)
    lines = [f"## `{name}`", "", f"`{_spelled(name, value)}`", "", *_described(_documentation(name))]
    if inspect.isclass(value):
        lines += ["", *_members(value)] if any(_members(value)) else []
    return "\n".join(lines) + "\n"


def _spelled(name: str, value: Any) -> str:
    if inspect.isfunction(value):
        return name + _signature(value)
    if inspect.isclass(value):
        base = value.__mro__[1].__name__
        return f"class {name}({base})" if base not in {"object", "ABC"} else f"class {name}"
    return f"{name} = {_comments(import_module(_home(name)))[name][2]}" if name[0].isupper() else name


def _signature(function: Any) -> str:
    """Return the arguments with their annotations as they are written, without `self` and `cls`."""
    found = inspect.signature(function)
    given = [_argument(one) for one in found.parameters.values() if one.name not in {"self", "cls"}]
    keyword_only = [
        one.name for one in found.parameters.values() if one.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    if keyword_only:
        given.insert(next(n for n, text in enumerate(given) if text.startswith(keyword_only[0])), "*")
    return f"({', '.join(given)}) -> {found.return_annotation}"


def _argument(argument: inspect.Parameter) -> str:
    variadic = {argument.VAR_POSITIONAL: "*", argument.VAR_KEYWORD: "**"}
    stars = next((mark for kind, mark in variadic.items() if argument.kind is kind), "")
    text = f"{stars}{argument.name}: {argument.annotation}"
    if argument.default is inspect.Parameter.empty:
        return text
    return f"{text} = {getattr(argument.default, '__name__', repr(argument.default))}"


def _described(text: str) -> Iterator[str]:
    """Yield the text of a docstring, then its fields as a list."""
    body = _FIELD.sub("", text).strip()
    yield _plain(body)
    for number, (kind, name, about) in enumerate(_FIELD.findall(text)):
        if number == 0:
            yield ""
        what = {"raises": f"raises `{name}`", "returns": "returns"}.get(kind, f"`{name}`")
        yield f"* {what}: {_plain(about)}"


def _members(cls: type) -> Iterator[str]:
    """Yield a table row for each public attribute and method that this package defines."""
    classes = [base for base in reversed(cls.__mro__) if base.__module__.startswith("steermoe_core.")]
    found: dict[str, str] = {}
    for base in classes:
        for name, (about, annotation, default) in _comments(base).items():
            value = f" = {default}" if default else ""
            found[name] = _row(f"{name}: {annotation}{value}", _plain(about))
        for name, member in vars(base).items():
            if name.startswith("_") or not (
                inspect.isroutine(member) or isinstance(member, (property, classmethod))
            ):
                continue
            found[name] = _row(_member(name, member), _meaning(name, cls, member))
    if found:
        yield from ("| member | meaning |", "| --- | --- |")
        yield from found.values()


def _row(code: str, meaning: str) -> str:
    """Return a table row; a bar that stands in code would otherwise end the cell."""
    escaped = code.replace("|", r"\|")
    return f"| `{escaped}` | {meaning} |"


def _member(name: str, member: Any) -> str:
    getter = member.fget if isinstance(member, property) else getattr(member, "func", None)  # or a cached one
    if getter is not None:
        return f"{name}: {getter.__annotations__.get('return', 'Any')}"
    return name + _signature(member.__func__ if isinstance(member, classmethod) else member)


def _meaning(name: str, cls: type, member: Any) -> str:
    about = _plain(inspect.cleandoc(inspect.getdoc(getattr(cls, name)) or "").partition("\n\n")[0])
    return f"**To be implemented.** {about}" if getattr(member, "__isabstractmethod__", False) else about


def _comments(thing: Any) -> dict[str, tuple[str, str, str]]:
    """Return comment, annotation and value of each name with a `#:` comment directly in a class or module."""
    found = {}
    for comment, name, annotation, value in _COMMENTED.findall(inspect.getsource(thing)):
        text = " ".join(line.strip().removeprefix("#: ") for line in comment.strip().splitlines())
        found[name] = (text, annotation, value)
    return found


def _plain(text: str) -> str:
    """Return text on one line a paragraph, with the code marks of Markdown."""
    paragraphs = re.split(r"\n\s*\n", text.replace("``", "`").strip())
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


if __name__ == "__main__":
    sys.stdout.write(reference())
