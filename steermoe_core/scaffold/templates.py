"""Reading the templates: each holds several files, cut as `tail -n +1` prints them, and ``$name`` slots."""

from __future__ import annotations

import re
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

import tomli

from steermoe_core.component import API
from steermoe_core.hookspecs import COMMANDS, HOOK_OF_KIND

if TYPE_CHECKING:
    from steermoe_core.scaffold.names import Names

_HEAD = re.compile(r"^==> (.+) <==\n", re.MULTILINE)
#: What a template says of its kind, in TOML: `summary`, `module`, `use` in an experiment (not of a command),
#: `factory` if that is no class, `record` for more lines of its record, and `set` if the component cannot be
#: checked without a setting.
_ABOUT = "about.toml"


def distribution(names: Names, requirement: str) -> dict[str, str]:
    """Return the text of every file of a new plugin by its path.

    :param requirement: what it depends on, as pip reads it.
    """
    own = _read(names.kind)
    about = tomli.loads(own.pop(_ABOUT))
    words = {
        "kind": names.kind,
        "name": names.component,
        "distribution": names.distribution,
        "package": names.package,
        "config": names.config,
        "factory": about.get("factory", names.cls),
        "module": about["module"],
        "summary": about["summary"],
        "use": Template(about.get("use", "").strip()).substitute(name=names.component),
        "hook": HOOK_OF_KIND.get(names.kind, COMMANDS),
        "api": str(API),
        "requirement": requirement,
        "more": "".join(f"        {line}\n" for line in about.get("record", ())),
        "check": check(names),
    }
    filled = {**_read("common"), **own}
    return {
        Template(path).substitute(words): Template(text).substitute(words) for path, text in filled.items()
    }


def check(names: Names) -> str:
    """Return the command that checks a new plugin."""
    setting = tomli.loads(_read(names.kind)[_ABOUT]).get("set")
    return f"steermoe check-plugin {names.distribution}" + (f" --set {setting}" if setting else "")


def _read(name: str) -> dict[str, str]:
    """Return the files of one template by path, slots open."""
    text = (files(__package__) / "templates" / f"{name}.txt").read_text(encoding="utf-8")
    _, *pieces = _HEAD.split(text)
    return dict(zip(pieces[::2], pieces[1::2], strict=True))
