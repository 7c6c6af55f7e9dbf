"""The reference of experiment files, written from the settings classes.

``python -m docs.generate.experiment > docs/reference/experiment.md`` renews the page.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import attrs

from steermoe_core.config.experiment import Experiment
from steermoe_core.config.fields import fields_of, summary, tables
from steermoe_core.config.naming import article, table_name
from steermoe_core.config.text.write import inline
from steermoe_core.config.types import ComponentOf

if TYPE_CHECKING:
    from steermoe_core.config.fields import Field

_INTRODUCTION = """\
# Experiment files

This page is generated: `python -m docs.generate.experiment > docs/reference/experiment.md`.

One TOML file is one experiment. `steermoe config FILE` prints it with every default filled in, and
`steermoe config FILE --blame` says for each value where it came from.

* **Components.** A table with a `use` key chooses a component; its other keys are settings of that
  component (`steermoe describe KIND NAME` lists them). Where a default component exists, `use` may be left
  out. A list of components is written `[[metrics]]`; for a single one, `[metrics]` is enough.
* **Types.** Nothing is converted: `"false"` is not `false` and `3.7` is not a whole number. A whole number
  is accepted as a number. `inf` and `nan` are refused.
* **Base files.** `extends = "base/asr.toml"` at the top of a file, relative to that file, inherits from
  another. Tables merge key by key, lists and plain values replace. A table whose `use` names another
  component than the inherited table inherits none of its keys: they are settings of the other component.
  `unset = ["data.eval.librivox", "train.deepspeed"]` at the top drops inherited keys and tables.
* **Flags.** `--set train.steps=100` changes one key. The value is TOML; anything else is text, so
  `--set encoder.weights=openai/whisper-tiny` needs no quotes. A number selects an entry of a list:
  `--set metrics.0.use=cer` changes the first, and the number after the last entry adds one. Flags are merged
  into the file as an extending file would be, those with `use` first. `--unset train.deepspeed` drops a key
  or table of the file, before any `--set`. A flag that another one replaces is an error.
* **Sweeps.** A table `[sweep]` has keys like those of `--set` flags, each with a list of values. `steermoe
  sweep` runs all combinations. A flag with the key of an axis replaces the axis.
* **Paths.** A setting that is a path starts at the folder of the file that sets it, or for a `--set` flag
  at the working directory. A resolved experiment has absolute paths. Paths that are plain text
  (such as `weights`, which may also be a hub name) are not changed.
"""


def reference() -> str:
    """Return the page as Markdown."""
    return "\n".join([_INTRODUCTION, *(_section(path, cls) for path, cls in tables(Experiment).items())])


def _section(path: tuple[str, ...], cls: type) -> str:
    title = f"`{table_name(path)}`" if path else "The whole file"
    about = summary(cls).partition(": ")[2] if path else summary(cls)
    rows = [_row(field) for field in fields_of(cls).values()]
    head = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    return "\n".join([f"## {title}", "", about[:1].upper() + about[1:], "", *head, *rows, ""])


def _row(field: Field) -> str:
    cells = (f"`{field.key}`", _value(field), _default(field), field.doc)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _value(field: Field) -> str:
    if not isinstance(field.type, ComponentOf):
        return ", ".join([field.type.name, *(limit.text for limit in field.limits)])
    kind = field.type.kind
    if field.type.many is None:
        return article(kind)
    return f"a list of {kind}s" if field.type.many is list else f"{kind}s by name"


def _default(field: Field) -> str:
    if isinstance(field.type, ComponentOf):
        name = field.type.default
        return {None: "required", "": "none"}.get(name, f'`use = "{name}"`')
    if field.required:
        return "required"
    value = field.default()
    if attrs.has(type(value)):
        return "its own defaults"
    return "none" if value is None else f"`{inline(value)}`"


if __name__ == "__main__":
    sys.stdout.write(reference())
