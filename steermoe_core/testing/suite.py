"""What all suites share: the part under test, its settings, and the checks that hold for every kind."""

from __future__ import annotations

from functools import cached_property, wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar
from unittest import SkipTest

import attrs

from steermoe_core.config.describe.documentation import settings
from steermoe_core.config.describe.example import example
from steermoe_core.config.fields import fields_of, parameters, summary
from steermoe_core.errors import SteermoeError
from steermoe_core.plugins import load_registry
from steermoe_core.testing.tables import chosen_table, structured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from steermoe_core.component import Component, Selection
    from steermoe_core.plugins import Registry
    from steermoe_core.plugins.plugin import Plugin


#: Seconds of computing that importing a plugin and its settings may take.
LIMIT = 0.5


class Wrong(AssertionError):  # noqa: N818 - it is a verdict
    """A part does not keep the contract; the text is one sentence for its author."""


def needs(*names: str) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Leave a check out where one that it builds on failed: one mistake is told once."""

    def decorate(check: Callable[[Any], None]) -> Callable[[Any], None]:
        @wraps(check)
        def judged(suite: AnySuite) -> None:
            for name in names:
                if not suite.holds(name):
                    msg = f"not judged until the check {name} passes"
                    raise SkipTest(msg)
            check(suite)

        return judged

    return decorate


class Shared:
    """What the checks of one suite have in common: a folder, the registry, verdicts, a part built once."""

    def __init__(self) -> None:
        self._temporary = TemporaryDirectory(prefix="steermoe-")
        self.folder = Path(self._temporary.name)
        self.verdicts: dict[str, bool] = {}
        self.table: Mapping[str, Any] | None = None
        self.part: Any = None

    @cached_property
    def registry(self) -> Registry:
        """What is installed."""
        return load_registry()

    def close(self) -> None:
        """Delete the folder."""
        self._temporary.cleanup()


class AnySuite:
    """The checks of one part, a component or a command; each `test_` method is a check.

    The docstring of a check says what must hold.

    :cvar component: name of the part; its plugin must be installed.
    """

    kind: ClassVar[str]
    component: ClassVar[str] = ""

    _shared: ClassVar[Shared]

    @classmethod
    def setup_class(cls) -> None:
        """Begin a suite."""
        cls._shared = Shared()

    @classmethod
    def teardown_class(cls) -> None:
        """End it."""
        cls._shared.close()

    def setup_method(self) -> None:
        """Begin a check."""

    def teardown_method(self) -> None:
        """End it."""

    def test_found(self) -> None:
        """An active plugin offers it."""
        try:
            self.registry.plugin_of(self.kind, self.component)
        except SteermoeError as error:
            raise Wrong(str(error)) from None

    @needs("found")
    def test_import_light(self) -> None:
        """Registering the plugin and importing its settings takes neither time nor heavy packages."""
        heavy, seconds = ", ".join(self.plugin.heavy), self.plugin.seconds
        self.expect(
            not heavy,
            f"the plugin or its settings import {heavy}, so commands that only look things up wait for it: "
            "import it in the module that the factory names, not in the plugin's __init__.py or config.py",
        )
        self.expect(
            seconds <= LIMIT,
            f"the import of the plugin and its settings takes {seconds:.2f} s of computing, more than "
            f"{LIMIT} s: move work and imports into the module that the factory names",
        )

    # What a check may ask for.

    @property
    def place(self) -> str:
        """Where the code of the part is, as its record names it."""
        raise NotImplementedError

    @property
    def registry(self) -> Registry:
        """What is installed."""
        return self._shared.registry

    @property
    def folder(self) -> Path:
        """A folder of the suite's own."""
        return self._shared.folder

    @property
    def plugin(self) -> Plugin:
        """The plugin that offers it."""
        return self.registry.plugin_of(self.kind, self.component)

    def holds(self, name: str) -> bool:
        """Tell whether another check passes."""
        verdicts = self._shared.verdicts
        if name not in verdicts:
            try:
                getattr(self, f"test_{name}")()
            except Exception:  # noqa: BLE001 - a plugin may raise anything; that check itself tells what
                verdicts[name] = False
            else:
                verdicts[name] = True
        return verdicts[name]

    def expect(self, right: object, sentence: str) -> None:
        """Refuse with a sentence unless something is right."""
        __tracebackhide__ = True
        if not right:
            raise self.wrong(sentence)

    def wrong(self, sentence: str) -> Wrong:
        """Return a verdict that says where to look."""
        return Wrong(f'{sentence} ({self.kind} "{self.component}", {self.place})')


class Suite(AnySuite):
    """The checks of one component.

    :cvar component: name of the component, as `use = "…"` has it; its plugin must be installed.
    :cvar settings: its settings as an experiment would have them, as small as can be; or a method that is
        given an empty folder and returns them.
    """

    settings: ClassVar[Any] = {}

    @needs("found")
    def test_settings_class(self) -> None:
        """The settings are a frozen attrs class with keywords only, whose types can be read."""
        place = self.record.config
        try:
            cls = self.record.config_class()
            self.expect(
                attrs.has(cls), f"{place} is no attrs class: write @attrs.frozen(kw_only=True) above it"
            )
            fields_of(cls)
        except (ImportError, AttributeError, NameError) as error:
            msg = f"the settings {place} cannot be read: {type(error).__name__}: {error}"
            raise self.wrong(msg) from error
        loose = [a.name for a in attrs.fields(cls) if a.init and not a.kw_only]
        self.expect(
            not loose, f"{place} takes {', '.join(loose)} by position: write @attrs.frozen(kw_only=True)"
        )
        frozen = _is_frozen(cls)
        self.expect(frozen, f"{place} can be changed after it was made: write @attrs.frozen(kw_only=True)")

    @needs("settings_class")
    def test_documented(self) -> None:
        """Every key has its `:param key:`, and the class says what it is."""
        cls, place = self.record.config_class(), self.record.config
        self.expect(bool(summary(cls)), f"{place} has no docstring: its first lines say what the part is")
        bare = [setting.key for setting in settings(cls) if not setting.doc]
        self.expect(not bare, f"{place} does not say what {_and(bare)} means: add :param {_last(bare)}: …")
        gone = [key for key in parameters(cls) if key not in fields_of(cls)]
        self.expect(
            not gone, f"{place} documents {_and(gone)}, which is no key of it: remove :param {_last(gone)}:"
        )

    @needs("settings_class")
    def test_example(self) -> None:
        """The example that `steermoe describe` prints is accepted: every default is valid."""
        text = example(self.registry, self.kind, self.component)
        try:
            if self.kind == "weights":
                self.record.config_class()()
            else:
                structured(self.registry, self.kind, chosen_table(text, self.kind))
        except (SteermoeError, TypeError, ValueError) as error:
            command = f"steermoe describe {self.kind} {self.component}"
            msg = f"the example of `{command}` is not accepted: {error}"
            raise self.wrong(msg) from None

    @needs("settings_class")
    def test_builds(self) -> None:
        """It is built from the suite's settings, and is of its kind's class."""
        try:
            selection = self.selection()
        except SteermoeError as error:
            given = "give them in the suite's `settings`, or with --set KEY=VALUE to steermoe check-plugin"
            msg = f"its settings are not accepted: {error}; {given}"
            raise self.wrong(msg) from None
        self.check_type(self.build(selection))

    def check_type(self, part: Any) -> None:
        """Refuse what the factory should not return."""
        raise NotImplementedError

    def expect_instance(self, part: Any, cls: type) -> None:
        """Refuse a part that is not of its kind's class."""
        name, given = cls.__name__, type(part).__name__
        self.expect(
            isinstance(part, cls),
            f"the factory gave a {given}, expected a {cls.__module__}.{name}: inherit from it",
        )

    @property
    def record(self) -> Component:
        """The record that the plugin yields."""
        return self.registry.get(self.kind, self.component)

    @property
    def place(self) -> str:
        """Where the code of the component is."""
        return self.record.factory

    def selection(self, **changed: Any) -> Selection:
        """Return the choice of the component with the suite's settings.

        :raises ConfigError: they are not accepted.
        """
        if self._shared.table is None:
            given = self.settings
            if callable(given):
                place = self.folder / "settings"
                place.mkdir()
                given = given(place)
            self._shared.table = given
        return structured(self.registry, self.kind, {**self._shared.table, **changed, "use": self.component})

    def build(self, selection: Selection | None = None) -> Any:
        """Build the component with what its kind is given."""
        return self._built(self.selection() if selection is None else selection, *self.context())

    def _built(self, selection: Selection, *context: Any) -> Any:
        from steermoe_core.run.assembly.builder import ModelBuilder

        experiment: Any = None  # a builder looks into it for whole models only
        return ModelBuilder(experiment, self.registry).part(selection, *context)

    def context(self) -> Sequence[Any]:
        """Return what a factory of this kind is called with, behind the settings."""
        return ()


def checks(suite: type[AnySuite]) -> dict[str, str]:
    """Return the checks of a suite in their order: name and what must hold."""
    found = {}
    for cls in reversed(suite.__mro__):
        for name, value in vars(cls).items():
            if name.startswith("test_"):
                found[name.removeprefix("test_")] = " ".join((value.__doc__ or "").split())
    return found


def _is_frozen(cls: Any) -> bool:
    """Tell whether attrs refuses to change an instance."""
    blank = cls.__new__(cls)
    try:
        setattr(blank, next((field.name for field in attrs.fields(cls)), "key"), None)
    except attrs.exceptions.FrozenError:
        return True
    except Exception:  # noqa: BLE001 - validators and slots have their own
        return False
    return False


def _and(names: Sequence[str]) -> str:
    return " and ".join(names)


def _last(names: Sequence[str]) -> str:
    return names[-1].rpartition(".")[2] if names else ""
