"""What makes a plugin broken: its import, its hooks and the records they yield, each with a reason.

Whatever a plugin raises becomes a `Broken` here, `SystemExit` included; only Ctrl-C passes. Each check is one
function and each reason one sentence with a hint what to do.
"""

from __future__ import annotations

import re
import sys
from contextlib import redirect_stdout
from functools import partial
from inspect import Parameter, signature
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeVar

from steermoe_core import hookspecs
from steermoe_core.component import API, OLDEST_API, Command, Component, load
from steermoe_core.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from importlib.metadata import EntryPoint

    import pluggy

    from steermoe_core.plugins.discovery import Entry
    from steermoe_core.plugins.plugin import Components, Offer, Plugin

HOOKS = frozenset(name for name in vars(hookspecs) if name.startswith("steermoe_"))
_KIND_OF_HOOK = {hook: kind for kind, hook in hookspecs.HOOK_OF_KIND.items()}
#: Files through which every plugin's code is reached.
_MACHINERY = {__file__, load.__code__.co_filename}
#: Characters of a plugin's message and of its traceback that are shown.
_LONGEST, _LONGEST_TRACE = 300, 20_000
#: Control sequences of a terminal: colours, titles, cursor moves.
_ESCAPE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)")
_Record = TypeVar("_Record", Component, Command)
_VALUE = re.compile(r"[\w.]+(\s*:\s*[\w.]+)?(\s*\[.*\])?\s*")


class Broken(Exception):  # noqa: N818 - it is a verdict; no user ever sees it raised
    """A plugin cannot be used.

    :param reason: one sentence, without a full stop.
    :param hint: what to do about it.
    """

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason, self.hint = reason, hint


def imported(entry: Entry) -> Any:
    """Import the plugin of an entry point and return its module or object."""
    point = _point(entry)
    return _guarded(point.load, lambda error: import_failure(error, point.module, entry))


def loaded(path: str, plugin: Plugin) -> Any:
    """Import the object that a component of a plugin names as ``"module:attribute"``."""
    module = path.partition(":")[0]
    return _guarded(partial(load, path), lambda error: import_failure(error, module, plugin))


def offered(
    hooks: Mapping[str, Callable[..., Any]], doing: Callable[[str], None]
) -> tuple[Components, tuple[Command, ...]]:
    """Call the hooks that yield components and commands, and return what they yield.

    :param doing: is called with the subject of "… did not finish" before each hook.
    """
    components: list[tuple[str, Component]] = []
    commands: list[Command] = []
    for hook, function in hooks.items():
        if hook in hookspecs.YIELDING:
            doing(f"its hook {hook}")
        if hook in _KIND_OF_HOOK:
            components += [(_KIND_OF_HOOK[hook], part) for part in _yielded(hook, function, Component)]
        elif hook == hookspecs.COMMANDS:
            commands += _yielded(hook, function, Command)
    return tuple(components), tuple(commands)


def check_offer(offer: Offer, entry: Entry) -> None:
    """Refuse what was written for another hook contract, and what is offered twice."""
    _check_api(offer, entry)
    _check_twice(offer)


def _guarded(call: Callable[[], Any], failure: Callable[[BaseException], Broken]) -> Any:
    """Call a plugin's code; stdout belongs to the command (`--json`), so plugins print to stderr."""
    try:
        with redirect_stdout(sys.stderr):
            return call()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may raise anything, SystemExit too
        raise failure(error) from error


def _point(entry: Entry) -> EntryPoint:
    from importlib.metadata import EntryPoint

    if entry.fault is not None:
        raise Broken(entry.fault, _reinstall(entry))
    if not _VALUE.fullmatch(entry.value):
        reason = f'its entry point "{entry.value}" is not of the form "module" or "module:object"'
        raise Broken(reason, f"correct pyproject.toml of {entry.distribution} and reinstall it")
    return EntryPoint(entry.name, entry.value, "steermoe")


def import_failure(error: BaseException, module: str, entry: Entry | Plugin) -> Broken:
    """Say why the code of a plugin cannot be imported, and what to do about it.

    :param error: what its import raised.
    :param module: that was imported.
    """
    if isinstance(error, ModuleNotFoundError) and error.name:
        if f"{module}.".startswith(f"{error.name}."):
            return Broken(f"its module {error.name} does not exist", _reinstall(entry))
        missing = error.name.partition(".")[0]
        if missing == "steermoe_core":
            return Broken(f"it needs {error.name}, which this steermoe does not have", _either(entry))
        return _not_installed(error.name, missing, entry)
    return Broken(f"its import failed: {described(error)}", f"repair it, or {_upgrade(entry.distribution)}")


def _not_installed(module: str, package: str, entry: Entry | Plugin) -> Broken:
    """Say which package brings a missing module: what the plugin requires, or one of the module's name."""
    from steermoe_core.plugins.requirements import bringing

    wanted = bringing(package, entry.distribution)
    if wanted:
        reason = f"it needs the module {module} of the package {wanted}, which is not installed"
        return Broken(reason, f"`pip install {quote(wanted)}`")
    hint = f"`pip install {package}`, or whichever package has it: {entry.distribution} does not say which"
    return Broken(f"it needs the module {module}, which is not installed", hint)


def _reinstall(entry: Entry | Plugin) -> str:
    if entry.editable and entry.location:
        return f"`pip install -e {quote(entry.location)}`"
    return f"`pip install --force-reinstall {entry.distribution}`"


def _upgrade(distribution: str) -> str:
    return f"upgrade {distribution}: `pip install --upgrade {distribution}`"


def _either(entry: Entry | Plugin) -> str:
    both = f"{entry.distribution} or steermoe"
    return f"upgrade whichever is older, {both}: `pip install --upgrade {entry.distribution} steermoe`"


def described(error: BaseException) -> str:
    """Return ``Type: message (file:line)`` of the last line of the plugin's code that was reached.

    The message is cut to `_LONGEST` characters, one line, without control characters.
    """
    text = f"{type(error).__name__}: {_message(error)}".removesuffix(": ")
    if isinstance(error, SyntaxError):
        return text  # it says file and line itself
    from traceback import extract_tb

    lines = [frame for frame in extract_tb(error.__traceback__) if _is_plugin_code(frame.filename)]
    return f"{text} ({lines[-1].filename}:{lines[-1].lineno})" if lines else text


def _message(error: BaseException) -> str:
    """Return what an error says, fit for one line; an error may fail to say anything."""
    try:
        text = str(error)
    except BaseException as again:  # noqa: BLE001 - a plugin may raise anything, here too
        return f"its message cannot be read, str() of it raised {type(again).__name__}"
    return brief(text)


def brief(text: str) -> str:
    """Return a text as one line of at most `_LONGEST` characters without anything that moves a terminal."""
    words = " ".join(_ESCAPE.sub("", text[: 4 * _LONGEST]).split())
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in words)
    return f"{shown[:_LONGEST]}…" if len(text) > 4 * _LONGEST or len(shown) > _LONGEST else shown


def trace_of(verdict: Broken) -> str | None:
    """Return the traceback behind a verdict, cut to its last `_LONGEST_TRACE` characters."""
    if verdict.__cause__ is None:
        return None
    from traceback import format_exception

    try:
        text = "".join(format_exception(verdict.__cause__))
    except BaseException:  # noqa: BLE001 - it asks the error for its message
        return None
    return text[-_LONGEST_TRACE:]


def _is_plugin_code(filename: str) -> bool:
    machinery = filename.startswith("<") or "importlib" in filename
    return not machinery and filename not in _MACHINERY


def hooks_of(plugin: Any, manager: pluggy.PluginManager) -> dict[str, Callable[..., Any]]:
    """Return the plugin's hooks by name, or say which function is not the hook it means to be."""
    hooks: dict[str, Callable[..., Any]] = {}
    for name, function in _functions(plugin):
        options = _guarded(
            partial(manager.parse_hookimpl_opts, plugin, name),
            lambda error, name=name: Broken(f"reading its {name} failed: {described(error)}"),  # type: ignore[misc]
        )
        if options is None:
            _check_undecorated(plugin, name, function)
            continue
        hook = options.get("specname") or name
        if hook in HOOKS:
            _check_plain(hook, function, options)
            hooks[hook] = function
        elif not options.get("optionalhook"):
            raise _misspelt(hook)
    if not hooks:
        reason = "it has no hook, so it offers nothing"
        raise Broken(reason, f"write one of {', '.join(sorted(HOOKS))}")
    return hooks


def _functions(plugin: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    names = _guarded(
        lambda: dir(plugin), lambda error: Broken(f"listing its names failed: {described(error)}")
    )
    for name in names:
        value = _guarded(
            partial(getattr, plugin, name, None),
            lambda error, name=name: Broken(f"reading its {name} failed: {described(error)}"),  # type: ignore[misc]
        )
        if callable(value) and not isinstance(value, type):
            yield name, value


def _check_undecorated(plugin: Any, name: str, function: Callable[..., Any]) -> None:
    """Refuse a function that was surely meant as a hook; one imported from elsewhere was not."""
    home = getattr(plugin, "__name__", type(plugin).__module__)
    if not name.startswith("steermoe_") or getattr(function, "__module__", None) != home:
        return
    meant = name if name in HOOKS else closest(name, HOOKS)
    if meant == name:
        reason = f"its function {name} is not marked as a hook"
        raise Broken(reason, "add @hookimpl above it")
    if meant:
        reason = f'its function {name} looks like the hook "{meant}" but is misspelt and not marked'
        raise Broken(reason, f"rename it to {meant} and add @hookimpl above it")


def _misspelt(hook: str) -> Broken:
    meant = closest(hook, HOOKS)
    if meant:
        return Broken(f'there is no hook {hook}; did you mean "{meant}"?', f"rename it to {meant}")
    hint = f"if it belongs to a newer hook contract, {_upgrade('steermoe')}"
    return Broken(f"there is no hook {hook} in hook contract {API}", hint)


def _check_plain(hook: str, function: Callable[..., Any], options: Any) -> None:
    """Refuse wrappers and arguments that the specification does not have."""
    if options.get("wrapper") or options.get("hookwrapper"):
        reason = f"its hook {hook} is a wrapper; steermoe's hooks are plain functions"
        raise Broken(reason)
    known = list(signature(getattr(hookspecs, hook)).parameters)
    variadic = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    needed = [
        name
        for name, argument in signature(function).parameters.items()
        if argument.default is Parameter.empty and argument.kind not in variadic
    ]
    unknown = [name for name in needed if name not in known]
    if unknown:
        takes = f"only {', '.join(known)}" if known else "no arguments"
        reason = f"its hook {hook} takes {', '.join(unknown)}, but the hook has {takes}"
        raise Broken(reason, f"write def {hook}({', '.join(known)})")


def _yielded(hook: str, function: Callable[..., Any], record: type[_Record]) -> list[_Record]:
    """Call a hook and return its records."""
    failure, name = "its hook {} raised {}".format, record.__name__
    records: Iterable[Any] = _guarded(function, lambda error: Broken(failure(hook, described(error))))
    if isinstance(records, (str, record)) or not hasattr(records, "__iter__"):
        reason = f"its hook {hook} returned {type(records).__name__} instead of {name}s"
        raise Broken(reason, f"yield each {name}")
    found = _guarded(lambda: list(records), lambda error: Broken(failure(hook, described(error))))
    for item in found:
        if not isinstance(item, record):
            reason = f"its hook {hook} yielded {type(item).__name__}{_shown(item)} instead of a {name}"
            raise Broken(reason, f"yield steermoe_core.{name} records")
    return list(found)


def _shown(item: object) -> str:
    try:
        return f" {brief(repr(item)):.60}"
    except BaseException:  # noqa: BLE001 - an object of the plugin's own
        return ""


def _check_api(offer: Offer, entry: Entry) -> None:
    for kind, part in offer:
        written = f'its {kind} "{part.name}" was written for hook contract {part.api}'
        if part.api > API:
            reason = f"{written}, newer than {API} of this steermoe"
            raise Broken(reason, _upgrade("steermoe"))
        if part.api < OLDEST_API:
            reason = f"{written}, older than {OLDEST_API}, the oldest that this steermoe loads"
            raise Broken(reason, _upgrade(entry.distribution))


def _check_twice(offer: Offer) -> None:
    seen: set[tuple[str, str]] = set()
    for kind, part in offer:
        if (kind, part.name) in seen:
            reason = f'it offers the {kind} "{part.name}" twice'
            raise Broken(reason, "rename one of them")
        seen.add((kind, part.name))
