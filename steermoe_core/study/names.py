"""What experiments are called side by side: their names, and for namesakes the settings that differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steermoe_core.config.flat import differing, flat
from steermoe_core.config.text.write import inline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from steermoe_core.config.text.locate import KeyPath

NAME, SEED = ("experiment", "name"), ("experiment", "seed")
#: More settings than these, or one of more letters, say less than the name of a folder.
_MOST, _LETTERS = 3, 40


def varied(tables: Sequence[Mapping[str, Any]], apart: Sequence[KeyPath] = ()) -> dict[KeyPath, list[Any]]:
    """Return the settings in which experiments differ, their names aside, with the value of each.

    :param tables: of experiments, with all defaults.
    :param apart: settings that are not looked at.
    """
    return differing([dict(flat(table)) for table in tables], (NAME, *apart))


def labels(
    tables: Sequence[Mapping[str, Any]], folders: Sequence[Path], apart: Sequence[KeyPath] = ()
) -> list[str]:
    """Return a name for each experiment, such as `whisper-layer-wise, experts 4`.

    Where namesakes differ in many settings or in long ones, it is the name of the run folder.

    :param folders: where each was run.
    """
    names = [str(table["experiment"]["name"]) for table in tables]
    found = list(names)
    for name in {name for name in names if names.count(name) > 1}:
        among = [at for at, other in enumerate(names) if other == name]
        settings = varied([tables[at] for at in among], apart)
        settings |= {SEED: settings.pop(SEED)} if SEED in settings else {}  # last, as the least of them
        for number, at in enumerate(among):
            words = [f"{short(path)} {shown(values[number])}" for path, values in settings.items()]
            few = 0 < len(words) <= _MOST and all(len(word) <= _LETTERS for word in words)
            found[at] = ", ".join([name, *words]) if few else folders[at].resolve().name
    return found


def short(path: KeyPath) -> str:
    """Return the part of a key path that says most: `experts`, and `router` for `adapter.router.use`."""
    words = [part for part in path if isinstance(part, str)]
    return words[-2] if words[-1] == "use" and len(words) > 1 else words[-1]


def shown(value: Any) -> str:
    """Return a setting as a person writes it; a dash where an experiment has no such key."""
    if value is None:
        return "–"
    return value if isinstance(value, str) else inline(value)
