"""What everything in a plugin is called, from the one name that its author gives."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from typing import TYPE_CHECKING

import attrs

from steermoe_core.errors import UsageError
from steermoe_core.plugins.discovery import normal

if TYPE_CHECKING:
    from steermoe_core.plugins import Registry

#: Longer names would break the lines of the code that is written.
LONGEST = 30
#: Classes of the engine that the code derives from.
_TAKEN = {"AsrCollator"}


@attrs.frozen
class Names:
    """The names of one plugin.

    :param kind: of its component.
    :param component: what an experiment says after `use =`; the plugin's own name as well.
    """

    kind: str
    component: str

    @property
    def distribution(self) -> str:
        """What pip calls it."""
        return f"steermoe-{self.component}"

    @property
    def package(self) -> str:
        """What Python imports."""
        return self.distribution.replace("-", "_")

    @property
    def config(self) -> str:
        """The class of its settings."""
        return f"{self._camel}Config"

    @property
    def cls(self) -> str:
        """The class of its component; a kind at the end of the name is not said twice."""
        kind = self.kind.capitalize()
        own = self._camel
        return own if own.endswith(kind) and own not in (kind, *_TAKEN) else own + kind

    @property
    def _camel(self) -> str:
        return "".join(word.capitalize() for word in self.component.split("-"))


def chosen(name: str, kind: str, registry: Registry) -> Names:
    """Return the names of a new plugin.

    :param name: small letters, digits and single hyphens, a letter first.
    :param registry: of what is installed.
    :raises UsageError: the name has another form, or something that is installed has it.
    """
    _check_form(name)
    names = Names(kind, name)
    _check_free(names, registry)
    return names


def _check_form(name: str) -> None:
    if name.startswith("steermoe-"):
        own = name.removeprefix("steermoe-")
        msg = f'a plugin\'s name goes without "steermoe-", which is put in front of it; say {own}'
        raise UsageError(msg)
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or len(name) > LONGEST:
        msg = (
            f'"{name}" cannot be a plugin\'s name; take small letters, digits and single hyphens between '
            f"them, a letter first, {LONGEST} characters at most, such as my-encoder"
        )
        raise UsageError(msg)


def _check_free(names: Names, registry: Registry) -> None:
    owner = _owner(names, registry)
    if owner:
        msg = f'the name "{names.component}" is taken by {owner}; choose another'
        raise UsageError(msg)


def _owner(names: Names, registry: Registry) -> str | None:
    """Return what has the name, with where it is from; None if it is free."""
    for plugin in registry.plugins:
        offer = {(kind, part.name) for kind, part in plugin.offer + plugin.withheld}
        if (names.kind, names.component) in offer:
            return f'the {names.kind} "{names.component}" of {plugin.origin}'
        if names.component == plugin.name or normal(plugin.distribution) == names.distribution:
            return f'the plugin "{plugin.name}" of {plugin.origin}'
    if _installed(names.distribution):
        return f"the distribution {names.distribution}"
    if find_spec(names.package) is not None:
        return f"the package {names.package}"
    return None


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
