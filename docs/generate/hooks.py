"""The reference of the contract with plugins, written from the hooks and from `Component`.

``python -m docs.generate.hooks > docs/reference/hooks.md`` renews the page.
"""

from __future__ import annotations

import inspect
import re
import sys

from steermoe_core import hookspecs
from steermoe_core.component import API, CAPABILITIES, KINDS, OLDEST_API, Command, Component
from steermoe_core.config.fields import parameters, summary

_INTRODUCTION = """\
# Hooks

This page is generated: `python -m docs.generate.hooks > docs/reference/hooks.md`.

A plugin is an installed distribution with an entry point in the group `steermoe`. The entry point names a
module (or an object); its functions that are decorated with `steermoe_core.hookimpl` and called as below are
the plugin. Such a module should import neither torch nor transformers: it only says where its parts are.
[Write an encoder](../tutorial/write-an-encoder.md) makes a whole one.
"""

_COMPONENT = """\
## `Component`

```python
from steermoe_core import Component
```

{about} All fields are keywords; all but `gives` and `needs` are required.

| field | meaning |
| --- | --- |
{rows}
The contract of this version is `api = {api}`; the oldest that still loads is `api = {oldest}`.

`gives` and `needs` hold capabilities. A plugin may define its own; these are the engine's:

| capability | what a component that gives it promises |
| --- | --- |
{capabilities}
`steermoe matrix adapter encoder` shows which installed components work together.
"""

_COMMAND = """\
## `Command`

```python
from steermoe_core import Command
```

{about} All fields are required keywords.

| field | meaning |
| --- | --- |
{rows}
`session` is a [`Session`](api.md#session). [Add a command](../how-to/add-a-command.md) shows a whole one.
"""

_FACTORIES = """\
## What a factory is called with

The settings of the component come first, as an instance of its settings class. Then what its kind is given:

| kind | hook | called with | returns |
| --- | --- | --- | --- |
{rows}
The types are [public names](api.md) of `steermoe_core`. `features` is the encoder's method, from waveforms to
`Padded`. `build(selection, …)` builds the part that a key of the settings chooses, such as the router of an
adapter. A factory of any kind whose settings choose parts is given `build` too, as its last argument.
"""

_HOOKS = """\
## Every hook

A plugin implements the hooks it needs. An argument that it does not use may be left out.

| hook | what it does |
| --- | --- |
"""


def reference() -> str:
    """Return the page as Markdown."""
    hooks = "".join(_hook(name) for name in hook_names())
    return "\n".join([_INTRODUCTION, _component(), _factories(), _command(), _HOOKS + hooks])


def hook_names() -> list[str]:
    """Return the names of all hooks, in their order."""
    return [name for name in vars(hookspecs) if name.startswith("steermoe_")]


def _component() -> str:
    rows = "".join(f"| `{name}` | {text} |\n" for name, text in parameters(Component).items())
    capabilities = "".join(f"| `{name}` | {text} |\n" for name, text in CAPABILITIES.items())
    return _COMPONENT.format(
        about=summary(Component), rows=rows, capabilities=capabilities, api=API, oldest=OLDEST_API
    )


def _command() -> str:
    rows = "".join(f"| `{name}` | {text} |\n" for name, text in parameters(Command).items())
    return _COMMAND.format(about=summary(Command), rows=rows)


def _factories() -> str:
    """Read the table in the module's docstring: columns are two spaces or more apart."""
    lines = (re.split(r"\s{2,}", line.strip()) for line in (hookspecs.__doc__ or "").splitlines())
    found = {cells[0]: cells[1:] for cells in lines if cells[0] in KINDS}
    rows = (
        (kind, f"`{hookspecs.HOOK_OF_KIND[kind]}`", _given(found[kind][0]), _code(found[kind][1]))
        for kind in KINDS
    )
    return _FACTORIES.format(rows="".join(f"| {' | '.join(row)} |\n" for row in rows))


def _given(arguments: str) -> str:
    inside = arguments.strip("()")
    return f"`{inside}`" if inside else "nothing more"


def _code(text: str) -> str:
    return text if text.startswith("`") and " of " in text else f"`{text.strip('`')}`"


def _hook(name: str) -> str:
    hook = getattr(hookspecs, name)
    given = inspect.signature(hook).parameters
    arguments = ", ".join(f"{key}: {value.annotation}" for key, value in given.items())
    yielded = {**dict.fromkeys(hookspecs.HOOK_OF_KIND.values(), "Component"), hookspecs.COMMANDS: "Command"}
    returns = f"Iterable[{yielded[name]}]" if name in yielded else "None"
    return f"| `{name}({arguments}) -> {returns}` | {inspect.cleandoc(hook.__doc__)} |\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
