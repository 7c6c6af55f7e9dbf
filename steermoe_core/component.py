"""The record that a plugin yields for each part it offers, and the choice of a part in an experiment.

Nothing here imports a plugin's code: a `Component` names its classes as ``"module:attribute"`` and
they are imported when somebody needs them.
"""

from __future__ import annotations

import re
import sys
from contextlib import redirect_stdout
from importlib import import_module
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: The hook contract that this engine speaks; a component says which one it was written for.
API = 1
#: The oldest contract that still loads.
OLDEST_API = 1

KINDS = (
    "encoder",
    "adapter",
    "router",
    "projector",
    "decoder",
    "dataset",
    "collator",
    "metric",
    "callback",
    "weights",
)

#: What a part may build on in another, by the word that says so. Plugins may have words of their own.
CAPABILITIES = {
    "layer-taps": "encoder: it calls its tap after each of its layers, and goes on with what comes back",
    "linear-maps": "encoder: its layers stand in one `ModuleList`, with `nn.Linear` modules in them",
    "own-decoder": "encoder: its `own_transcripts` are those of the decoder that it was trained with",
    "gates": "adapter: its `statistics` tell of each steered place how the experts are mixed",
}
_WORD = re.compile(r"[a-z][a-z0-9-]*")


def _words(words: Iterable[str] | None) -> tuple[str, ...] | None:
    """Return words sorted, each once; None stays None.

    :raises TypeError: it is one text, not several words.
    :raises ValueError: one of them is no word.
    """
    if words is None:
        return None
    if isinstance(words, str):
        msg = f"one word is a tuple too: ({words!r},)"
        raise TypeError(msg)
    wrong = [word for word in words if not _WORD.fullmatch(word)]
    if wrong:
        msg = f"{wrong[0]!r} is no word for what a part gives: use small letters, digits and dashes"
        raise ValueError(msg)
    return tuple(sorted(set(words)))


def _words_by_kind(needs: Mapping[str, Iterable[str]] | None) -> dict[str, tuple[str, ...]] | None:
    if needs is None:
        return None
    wrong = [kind for kind in needs if kind not in KINDS]
    if wrong:
        msg = f"{wrong[0]!r} is not a kind of component"
        raise ValueError(msg)
    return {kind: _words(words) or () for kind, words in needs.items()}


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


@attrs.frozen(kw_only=True)
class Component:
    """One part that a plugin offers.

    :param name: what `use = "…"` says in an experiment.
    :param api: the hook contract it was written for (`steermoe_core.component.API`).
    :param summary: one line for lists.
    :param config: ``"module:Class"`` of its attrs class of settings; cheap to import.
    :param factory: ``"module:attribute"`` that builds it; imported when a run needs it.
    :param gives: what parts of other kinds may build on, such as ``("layer-taps",)`` of an encoder.
    :param needs: what it builds on itself, by kind: ``{"encoder": ("layer-taps",)}``. An experiment with a
        part that does not give it is refused. A part that has neither `gives` nor `needs` says nothing, and
        nothing is refused for what it does not say.
    :param rung: adapter: name of its rung in `steermoe ladder`, where it is a baseline with its defaults, in
        the layers of the experiment's adapter; empty: it is no baseline.
    :param figures: callback: figures that the report draws from its records.
    """

    name: str = attrs.field(validator=attrs.validators.matches_re(r"[A-Za-z0-9][\w./-]*"))
    api: int = attrs.field(validator=attrs.validators.instance_of(int))
    summary: str = attrs.field(validator=attrs.validators.instance_of(str))
    config: str = attrs.field(validator=attrs.validators.matches_re(r"[\w.]+:\w+"))
    factory: str = attrs.field(validator=attrs.validators.matches_re(r"[\w.]+:\w+"))
    gives: tuple[str, ...] | None = attrs.field(default=None, converter=_words)
    needs: dict[str, tuple[str, ...]] | None = attrs.field(default=None, converter=_words_by_kind, hash=False)
    rung: str = attrs.field(default="", validator=attrs.validators.instance_of(str))
    figures: tuple[Figure, ...] = attrs.field(default=(), converter=_figures)

    @property
    def silent(self) -> bool:
        """Whether it says nothing of what it gives and needs."""
        return self.gives is None and self.needs is None

    def config_class(self) -> type:
        """Import and return the attrs class of its settings."""
        cls: type = load(self.config)
        return cls

    def build(self, config: object, *context: Any, **named: Any) -> Any:
        """Import the factory and call it with the settings and what its kind is given."""
        return load(self.factory)(config, *context, **named)


@attrs.frozen
class Selection:
    """A component chosen by an experiment, with its settings: what a table with a `use` key becomes."""

    kind: str
    name: str
    config: Any


@attrs.frozen
class Trained:
    """The settings of a `Selection` that takes a part as it was trained, with the tables it was trained by.

    :param source: a run or adapter folder, or ``hub:OWNER/NAME``, with ``@REVISION`` if not the newest.
    """

    source: str


def choose(kind: str, default: str | None = None) -> Any:
    """Return an attrs field that holds a `Selection` of one kind.

    :param default: name of the component to take when the experiment has no such table; without it
        the table is required.
    """
    if kind not in KINDS:
        msg = f"{kind!r} is not a kind of component"
        raise ValueError(msg)
    metadata = {"kind": kind, "default": default}
    return attrs.field(default=attrs.NOTHING if default is None else None, metadata=metadata)


def load(path: str) -> Any:
    """Return the object that ``"module:attribute"`` names.

    What its import prints goes to stderr: stdout belongs to the command.

    :raises ImportError: the module asked Python to exit; any other exception is the module's own.
    """
    module, _, attribute = path.partition(":")
    with redirect_stdout(sys.stderr):
        try:
            return getattr(import_module(module), attribute)
        except SystemExit as stop:
            msg = f"{module} ends the program: SystemExit({stop.code!r})"
            raise ImportError(msg) from stop
