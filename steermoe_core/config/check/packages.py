"""Which packages the components of an experiment need and this environment lacks; read from metadata alone.

A component needs what its distribution requires, what its `Component` record `requires`, and what its
settings require in their property `requires`, such as the package for a file format that they name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steermoe_core.config.fields import fields_of, selections
from steermoe_core.config.text.problems import Problem
from steermoe_core.config.text.syntax import shown_path
from steermoe_core.plugins.requirements import lacking, unmet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from steermoe_core.config.resolve import Resolved
    from steermoe_core.config.text.locate import KeyPath
    from steermoe_core.plugins import Registry
    from steermoe_core.plugins.requirements import Unmet


def missing_packages(experiments: Iterable[Resolved], registry: Registry) -> list[Problem]:
    """Return a problem for each package that a component needs and that is not installed.

    What a whole distribution lacks is reported at the first of its components.
    """
    problems, known = [], _Distributions()
    for resolved in experiments:
        seen: set[tuple[str, str]] = set()
        for path, selection in selections(resolved.experiment):
            plugin = registry.plugin_of(selection.kind, selection.name)
            declared = (*registry.get(selection.kind, selection.name).requires, *_required(selection.config))
            for one in (*known[plugin.distribution], *lacking(declared)):
                if (plugin.distribution, one.wanted) not in seen:
                    seen.add((plugin.distribution, one.wanted))
                    whose = f'{selection.kind} "{selection.name}" ({plugin.origin})'
                    problems.append(_problem(resolved, (*path, "use"), f"{whose} needs {one}", one.mend))
    return problems


class _Distributions(dict[str, list["Unmet"]]):
    """What each distribution always requires and lacks; read from its metadata once."""

    def __missing__(self, distribution: str) -> list[Unmet]:
        found = self[distribution] = [one for one in unmet(distribution) if one.extra is None]
        return found


def _required(config: Any) -> tuple[str, ...]:
    """Return what settings require, unless `requires` is one of their keys."""
    return () if "requires" in fields_of(type(config)) else tuple(getattr(config, "requires", ()))


def _problem(resolved: Resolved, path: KeyPath, message: str, hint: str) -> Problem:
    origin = resolved.origins.get(path)
    if origin is None or origin.source is None:  # the default component
        return Problem(code="E205", message=message, path=path, file=shown_path(resolved.path), hint=hint)
    return origin.source.problem("E205", message, origin.path, "text", hint=hint)
