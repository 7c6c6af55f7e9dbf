"""The parts of an experiment whose code cannot be imported, reported early and with their place."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from steermoe_core.config.fields import selections
from steermoe_core.errors import PluginError
from steermoe_core.plugins import PartError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from steermoe_core.config.experiment import ModelConfig
    from steermoe_core.config.resolve import Resolved
    from steermoe_core.config.text.locate import KeyPath
    from steermoe_core.plugins import Registry


def check_imports(resolved: Resolved, registry: Registry) -> None:
    """Import the code of every part that an experiment selects, before a run writes anything.

    :raises PluginError: of some that is not possible; names each with its place in the experiment.
    """
    faults: dict[str, None] = {}
    for _, selection in selections(resolved.experiment):
        try:
            with placed(resolved.experiment, resolved.path, resolved.origins):
                registry.factory(selection.kind, selection.name)
        except PluginError as error:
            faults[str(error)] = None
    if faults:
        raise PluginError("\n".join(faults))


@contextmanager
def placed(
    experiment: ModelConfig, file: Path | str, origins: Mapping[KeyPath, object] | None = None
) -> Iterator[None]:
    """Say of a part whose code cannot be used where the experiment asks for it.

    :param file: the experiment file, or what messages call the settings if there is none.
    :param origins: where each value of it came from, if known.
    :raises PluginError: with the place, in place of one without.
    """
    try:
        yield
    except PartError as error:
        paths = [path for path, one in selections(experiment) if (one.kind, one.name) == error.part]
        place = next((origin for path in paths if (origin := (origins or {}).get((*path, "use")))), file)
        msg = f"{place}: {error}"
        raise PluginError(msg) from error.__cause__
