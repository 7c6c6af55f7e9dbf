"""From an experiment file, the files that it extends and the flags to one checked, complete experiment."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.config.check.capabilities import mismatches
from steermoe_core.config.check.contradictions import contradictions
from steermoe_core.config.check.faults import Fault, InvalidError
from steermoe_core.config.check.structurer import Structurer
from steermoe_core.config.experiment import Experiment, ModelConfig
from steermoe_core.config.fields import fields_of
from steermoe_core.config.groups import Groups, group_faults, groups_of, installed_groups, with_groups
from steermoe_core.config.origins import Filler, Origin, origins
from steermoe_core.config.text.axes import by_flags, take_axes, unpinned
from steermoe_core.config.text.given import DICT, changes_of
from steermoe_core.config.text.layers import Layers, open_layers
from steermoe_core.config.text.overrides import ineffective, lay_overrides, parse_flags
from steermoe_core.config.text.syntax import shown_path
from steermoe_core.config.text.unset import Unset, drop_flagged
from steermoe_core.config.text.write import dumps, inline
from steermoe_core.errors import ConfigError, PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from steermoe_core.config.text.axes import Axis
    from steermoe_core.config.text.locate import KeyPath, Toml
    from steermoe_core.config.text.overrides import Override
    from steermoe_core.config.text.problems import Problem
    from steermoe_core.plugins import Registry

#: Problems that installing or repairing a plugin would solve.
_PLUGIN_CODES = {"E201", "E203", "E204", "E205"}
EPOCHS = ("train", "epochs")


@attrs.frozen(kw_only=True)
class Resolved:
    """A checked experiment.

    :param experiment: the settings, components' own settings included.
    :param table: the same as plain TOML values: all defaults filled, `use` keys kept, paths absolute.
    :param origins: where each value of `table` came from.
    :param path: the experiment file, or what messages call the settings if there is none.
    """

    experiment: Experiment
    table: Toml
    origins: Mapping[KeyPath, Origin] = attrs.field(repr=False, eq=False)
    path: Path | str = attrs.field(eq=False)

    @property
    def digest(self) -> str:
        """8 hex digits of a hash of the settings: equal tables have equal digests, whatever set them."""
        text = json.dumps(_canonical(self.table), sort_keys=True, separators=(",", ":"), default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def folder(self) -> str:
        """Name of the run folder; a changed setting is another folder."""
        return f"{self.experiment.experiment.name}-{self.digest}"

    def to_toml(self, steps: int | None = None) -> str:
        """Return an experiment file that resolves to an equal table without base files and flags.

        :param steps: number of steps that its epochs take, for a comment; None before they are counted.
        """
        taken = "in steps: see `steermoe plan`" if steps is None else f"{steps} steps"
        return dumps(self.table, comment=lambda path: taken if path == EPOCHS else "")

    def blame(self) -> str:
        """Return the same file with a comment after each value that names its origin."""
        return dumps(self.table, comment=self._origin)

    def _origin(self, path: KeyPath) -> str:
        return str(self.origins[path]) if path in self.origins else ""


def resolve(path: Path, overrides: Sequence[str], registry: Registry, then: Sequence[str] = ()) -> Resolved:
    """Read, merge, check and complete an experiment.

    :param path: the experiment file.
    :param overrides: ``KEY=VALUE`` texts of `--set` flags, and an `Unset` for each `--unset` flag.
    :param registry: where components are looked up.
    :param then: more of them, which may replace the first ones.
    :raises ConfigError: with every problem of the file, its base files and the flags.
    :raises PluginError: when only missing or broken components are wrong.
    """
    layers, axes, problems = opened(path, overrides, then)
    if axes:
        problems.append(unpinned(axes, by_flags(axes, shown_path(path))))
    return complete(layers, path, problems, registry)


def compose(layers: Layers, path: Path | str, changes: Mapping[str, Any], registry: Registry) -> Resolved:
    """Change layers, check them and complete them.

    :param layers: of a file or a dict; they take the changes.
    :param path: the experiment file, or what messages call the settings if there is none.
    :param changes: values by key path; relative paths in them start at the working directory.
    :raises ConfigError: with every problem of the layers and the changes.
    :raises PluginError: when only missing or broken components are wrong.
    """
    overrides, problems = changes_of(changes, Path.cwd())
    axes, more = merge(layers, overrides)
    problems += more
    if axes:
        first = ", ".join(f"{inline(axis.name)}: {inline(axis.values[0])}" for axis in axes)
        chosen = f"choose one experiment with the changes {{{first}}}"
        problems.append(unpinned(axes, "leave the table [sweep] out" if path == DICT else chosen))
    return complete(layers, path, problems, registry)


def opened(
    path: Path, overrides: Sequence[str], then: Sequence[str] = ()
) -> tuple[Layers, list[Axis], list[Problem]]:
    """Return a file merged with what it extends and with flags, its open axes, and its problems.

    :param then: more flags, which may replace the first ones.
    :raises ConfigError: for a file that cannot be read.
    """
    layers = open_layers(path)
    flags, problems = parse_flags(text for text in overrides if not isinstance(text, Unset))
    problems += drop_flagged(layers, (text for text in overrides if isinstance(text, Unset)))
    more_flags, wrong = parse_flags(then)
    axes, more = merge(layers, flags, more_flags)
    return layers, axes, problems + wrong + more


def merge(
    layers: Layers, overrides: Sequence[Override], then: Sequence[Override] = ()
) -> tuple[list[Axis], list[Problem]]:
    """Merge overrides into layers; return the axes that stay open, and all problems.

    :param then: more of them, which may replace the first ones.
    """
    problems = layers.problems + lay_overrides(layers, overrides)
    if not problems:
        problems += ineffective(layers, overrides)
    problems += lay_overrides(layers, then)
    axes, more = take_axes(layers, {override.names for override in (*overrides, *then)})
    return axes, problems + more


def complete(layers: Layers, path: Path | str, problems: list[Problem], registry: Registry) -> Resolved:
    """Check what was read and merged, and fill in every default.

    :param path: the experiment file, or what messages call the settings if there is none.
    :param problems: that were found already.
    :raises ConfigError: with these and all others.
    :raises PluginError: when only missing or broken components are wrong.
    """
    experiment = None
    try:
        experiment = _structure(layers, registry)
    except InvalidError as error:
        problems = problems + [_located(layers, fault) for fault in error.faults]
    if problems or experiment is None:
        raise problem_error(problems)
    filler = Filler(registry)
    table = filler.table(experiment)
    return Resolved(experiment=experiment, table=table, origins=origins(layers, filler.owners), path=path)


def resolve_model(path: Path, registry: Registry) -> ModelConfig:
    """Read the model's part of an experiment and ignore the rest of the file.

    :raises ConfigError: with every problem of that part.
    :raises PluginError: when only missing or broken components are wrong.
    """
    layers = open_layers(path)
    layers.table = {key: value for key, value in layers.table.items() if key in fields_of(ModelConfig)}
    structurer = Structurer(registry, partial(_folder, layers))
    try:
        found: ModelConfig = structurer.settings(layers.table, ModelConfig)
    except InvalidError as error:
        raise problem_error([_located(layers, fault) for fault in error.faults]) from None
    return found


def model_toml(model: ModelConfig, registry: Registry) -> str:
    """Return a file for `resolve_model`: no paths of data, no names of parts that only training needs."""
    table = Filler(registry).table(model)
    return dumps({key: table[key] for key in fields_of(ModelConfig)})


def _structure(layers: Layers, registry: Registry) -> Experiment:
    structurer = Structurer(registry, partial(_folder, layers), layers.top.WHOLE)
    try:
        experiment: Experiment = structurer.settings(layers.table, Experiment)
    except InvalidError as error:
        done = error.done
        data, train, adapters = (done.get(key) for key in ("data", "train", "adapter"))
        parts = (data, train, adapters, done.get("augment", ()), done.get("evaluate"))
        more = [*contradictions(*parts)]
        missing = any(fault.code in _PLUGIN_CODES for fault in error.faults)  # its groups are not known
        groups = Groups(installed_groups(registry), complete=not missing)
        if {"projector", "adapter"} <= done.keys():
            groups = groups_of(done["projector"], done["adapter"], registry)
        more += group_faults(layers.table.get("train"), groups, registry, layers.below)
        raise InvalidError([*error.faults, *more, *mismatches(done, registry)]) from None
    groups = groups_of(experiment.projector, experiment.adapter, registry)
    faults = [
        *contradictions(
            experiment.data, experiment.train, experiment.adapter, experiment.augment, experiment.evaluate
        ),
        *mismatches(experiment, registry),
        *group_faults(layers.table.get("train"), groups, registry, layers.below),
    ]
    if faults:
        raise InvalidError(faults)
    return attrs.evolve(experiment, train=with_groups(experiment.train, groups, registry, layers.below))


def _folder(layers: Layers, path: KeyPath) -> Path:
    source, _ = layers.written(layers.raw_path(path) or path)
    return source.folder


def _located(layers: Layers, fault: Fault) -> Problem:
    """Return a fault with its place: the key or, if it is missing, the table that should hold it."""
    raw = layers.raw_path(fault.path) or fault.path
    source, written = layers.written(raw)
    part = fault.part if written == raw else "key"
    problem = source.problem(fault.code, fault.message, written, part, hint=fault.hint, notes=fault.notes)
    return attrs.evolve(problem, path=fault.path)


def problem_error(problems: list[Problem]) -> ConfigError | PluginError:
    """Return the error that reports problems in the order of their places, each once."""
    ordered = sorted(dict.fromkeys(problems), key=_place)
    if all(problem.code in _PLUGIN_CODES for problem in ordered):
        return PluginError(problems=ordered)
    return ConfigError(ordered)


def _place(problem: Problem) -> tuple[str, int, int]:
    """Return the sort key of a problem; flags stay in the order in which they were checked."""
    return (problem.file, problem.line, problem.column or 0) if problem.line else (problem.file, 0, 0)


def _canonical(value: Any) -> Any:
    """Return a value in which 1 and 1.0 are the same."""
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
