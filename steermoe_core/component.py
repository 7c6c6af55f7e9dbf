"""The records that a plugin yields for what it offers, and the choice of a part in an experiment.

A `Component` names its classes as ``"module:attribute"``. Importing a plugin's record therefore imports none
of them; they are imported on first use.
"""

from __future__ import annotations

import math
import re
import sys
from contextlib import redirect_stdout
from importlib import import_module
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Version of the hook contract; a component names the version that it was written for.
API = 1
#: The oldest version that still loads.
OLDEST_API = 1

KINDS = (
    "encoder",
    "adapter",
    "router",
    "projector",
    "decoder",
    "dataset",
    "augmentation",
    "collator",
    "metric",
    "callback",
    "launcher",
    "weights",
)
#: The kinds that no table of an experiment chooses.
OUTSIDE = ("launcher", "weights")
#: What stands in the place of a kind where commands are listed with components.
COMMAND = "command"

#: What components can require of each other, by capability. Plugins may define more capabilities.
CAPABILITIES = {
    "layer-taps": "encoder, decoder: calls its tap after each layer and continues with what the tap returns",
    "linear-maps": "encoder, decoder: its layers are in one `ModuleList` and contain `nn.Linear` modules",
    "packing": "encoder, decoder: computes the clips of a batch without padding where its `packing` is true, "
    "unless a property `unpackable` of its settings returns a reason",
    "own-decoder": "encoder: its `own_transcripts` come from the decoder that it was trained with",
    "gates": "adapter: its `statistics` contain the expert weights of each steered layer",
}
#: The capability that `train.packing` needs.
PACKING = "packing"
#: The parameter groups of a projector that declares none.
PROJECTOR = {"projector": 1e-3}
#: In `Component.needs` of an adapter: the encoder or the decoder, whichever it works on.
TOWER = "tower"
_CAPABILITY = re.compile(r"[a-z][a-z0-9-]*")
_GROUP = re.compile(r"[a-z][a-z0-9_-]*")


def _capabilities(names: Iterable[str] | None) -> tuple[str, ...] | None:
    """Return capabilities sorted, each once; None stays None.

    :raises TypeError: it is one text instead of several.
    :raises ValueError: one of them is not a valid name.
    """
    if names is None:
        return None
    if isinstance(names, str):
        msg = f"one capability is a tuple too: ({names!r},)"
        raise TypeError(msg)
    if wrong := [name for name in names if not _CAPABILITY.fullmatch(name)]:
        msg = f"{wrong[0]!r} is not a valid capability: use lower-case letters, digits and dashes"
        raise ValueError(msg)
    return tuple(sorted(set(names)))


def _needs(needs: Mapping[str, Iterable[str]] | None) -> dict[str, tuple[str, ...]] | None:
    if needs is None:
        return None
    if wrong := [kind for kind in needs if kind not in (*KINDS, TOWER)]:
        msg = f"{wrong[0]!r} is not a kind of component"
        raise ValueError(msg)
    return {kind: _capabilities(names) or () for kind, names in needs.items()}


def _groups(groups: Mapping[str, float] | None) -> dict[str, float] | None:
    """Return parameter groups with their rates as floats; None stays None.

    :raises ValueError: a group or its rate is not valid.
    """
    if groups is None:
        return None
    if wrong := [name for name in groups if not _GROUP.fullmatch(name)]:
        msg = f"{wrong[0]!r} is not a valid parameter group: use lower-case letters, digits, _ and -"
        raise ValueError(msg)
    rates = {name: float(rate) for name, rate in groups.items()}
    if wrong := [name for name, rate in rates.items() if not 0.0 <= rate < math.inf]:
        msg = f"the learning rate of group {wrong[0]!r} is {rates[wrong[0]]}; it must be a number >= 0"
        raise ValueError(msg)
    return rates


def _rungs(rungs: Mapping[str, Iterable[Mapping[str, Any]]]) -> dict[str, tuple[dict[str, Any], ...]]:
    return {name: tuple(dict(table) for table in tables) for name, tables in rungs.items()}


@attrs.frozen(kw_only=True)
class Figure:
    """A figure of the report, drawn over steps from records that a callback writes into metrics.jsonl.

    :param key: of a line: its value is a list of records, one for each curve.
    :param value: key of the number in a record.
    :param curve: name of a record's curve, with keys of the record in braces: ``"layer {layer}"``.
    :param title: of the figure.
    :param unit: of the number.
    :param log: whether the axis is logarithmic where numbers span orders of magnitude.
    """

    key: str
    value: str
    curve: str
    title: str
    unit: str
    log: bool = False


def _figures(figures: Iterable[Figure | Mapping[str, Any]]) -> tuple[Figure, ...]:
    return tuple(one if isinstance(one, Figure) else Figure(**one) for one in figures)


def _requirements(requires: Iterable[str]) -> tuple[str, ...]:
    """Return requirements as a tuple.

    :raises TypeError: it is one text instead of several.
    """
    if isinstance(requires, str):
        msg = f"one requirement is a tuple too: ({requires!r},)"
        raise TypeError(msg)
    return tuple(requires)


@attrs.frozen(kw_only=True)
class Component:
    """One component that a plugin offers.

    :param name: what `use = "…"` says in an experiment.
    :param api: version of the hook contract that it was written for (`steermoe_core.component.API`).
    :param summary: one line for lists.
    :param config: ``"module:Class"`` of its attrs class of settings; must be cheap to import.
    :param factory: ``"module:attribute"`` that builds it; imported when a run needs it.
    :param gives: its capabilities, such as ``("layer-taps",)`` of an encoder.
    :param needs: the capabilities that it requires of other kinds: ``{"encoder": ("layer-taps",)}``. An
        experiment whose component lacks one is refused. If `gives` and `needs` are both left out, nothing
        is known about the component and it is never refused.
    :param groups: adapter, projector: the parameter groups that it trains, each with its default peak
        learning rate; `[train.learning_rate]` takes their names. If left out, a projector trains the group
        `projector`, and the groups of an adapter are unknown: an experiment has to set their rates.
    :param rungs: adapter: the rungs that `steermoe ladder` can add, each with the settings of its adapters
        that differ from the defaults: ``{"LoRA": [{}], "LoRA on the decoder": [{"on": "decoder"}]}``.
    :param figures: callback: figures that the report draws from its records.
    :param requires: packages that it needs in addition to the dependencies of its distribution, as pip takes
        them: ``("sacrebleu>=2",)``. `steermoe check` reports the missing ones. Packages that only some
        settings need belong in a property `requires` of the settings class.
    """

    name: str = attrs.field(validator=attrs.validators.matches_re(r"[A-Za-z0-9][\w./-]*"))
    api: int = attrs.field(validator=attrs.validators.instance_of(int))
    summary: str = attrs.field(validator=attrs.validators.instance_of(str))
    config: str = attrs.field(validator=attrs.validators.matches_re(r"[\w.]+:\w+"))
    factory: str = attrs.field(validator=attrs.validators.matches_re(r"[\w.]+:\w+"))
    gives: tuple[str, ...] | None = attrs.field(default=None, converter=_capabilities)
    needs: dict[str, tuple[str, ...]] | None = attrs.field(default=None, converter=_needs, hash=False)
    groups: dict[str, float] | None = attrs.field(default=None, converter=_groups, hash=False)
    rungs: dict[str, tuple[dict[str, Any], ...]] = attrs.field(factory=dict, converter=_rungs, hash=False)
    figures: tuple[Figure, ...] = attrs.field(default=(), converter=_figures)
    requires: tuple[str, ...] = attrs.field(default=(), converter=_requirements)

    @property
    def undeclared(self) -> bool:
        """Whether it declares neither what it gives nor what it needs."""
        return self.gives is None and self.needs is None

    def config_class(self) -> type:
        """Import and return the attrs class of its settings."""
        cls: type = load(self.config)
        return cls

    def build(self, config: object, *context: Any, **named: Any) -> Any:
        """Import the factory and call it with the settings and the arguments of its kind."""
        return load(self.factory)(config, *context, **named)


@attrs.frozen(kw_only=True)
class Command:
    """One command that a plugin adds to `steermoe`.

    :param name: what follows `steermoe` on the command line: lower-case letters, digits and dashes.
    :param api: version of the hook contract that it was written for.
    :param summary: its line in `steermoe --help`.
    :param code: ``"module"`` or ``"module:attribute"`` of its code; imported when the command is called. The
        module or object has `add_arguments(parser)`, which declares its arguments, and `run(args, session)`,
        which returns the exit code. A class is instantiated without arguments.
    """

    name: str = attrs.field(validator=attrs.validators.matches_re(r"[a-z][a-z0-9]*(-[a-z0-9]+)*"))
    api: int = attrs.field(validator=attrs.validators.instance_of(int))
    summary: str = attrs.field(validator=attrs.validators.instance_of(str))
    code: str = attrs.field(validator=attrs.validators.matches_re(r"[\w.]+(:\w+)?"))


@attrs.frozen
class Selection:
    """A component that an experiment chooses, with its settings: a table with a `use` key, resolved."""

    kind: str
    name: str
    config: Any


@attrs.frozen
class Trained:
    """The settings of a `Selection` that starts from a trained adapter, with the tables of its run.

    :param source: a run or adapter folder, or ``hub:OWNER/NAME``, with ``@REVISION`` unless it is the newest.
    """

    source: str


def choose(kind: str, default: str | None = None, *, one: bool = False) -> Any:
    """Return an attrs field that holds a `Selection` of one kind.

    :param default: component of an experiment without such a table; empty for none. Without a default the
        table is required.
    :param one: of a list: a single table is the usual form, and the one in which it is written.
    """
    if kind not in KINDS:
        msg = f"{kind!r} is not a kind of component"
        raise ValueError(msg)
    metadata = {"kind": kind, "default": default, "one": one}
    return attrs.field(default=attrs.NOTHING if default is None else None, metadata=metadata)


def tower_of(settings: object) -> str:
    """Return the kind of the frozen part that an adapter works on: its key `on`, by default the encoder."""
    return str(getattr(settings, "on", "encoder"))


def load(path: str) -> Any:
    """Return the object that ``"module:attribute"`` names, or the module that ``"module"`` names.

    Whatever its import prints goes to stderr, because stdout belongs to the command.

    :raises ImportError: the module called `sys.exit`. Any other exception is the module's own.
    """
    module, _, attribute = path.partition(":")
    with redirect_stdout(sys.stderr):
        try:
            found = import_module(module)
            return getattr(found, attribute) if attribute else found
        except SystemExit as stop:
            msg = f"{module} ends the program: SystemExit({stop.code!r})"
            raise ImportError(msg) from stop
