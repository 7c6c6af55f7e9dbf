"""An experiment from Python: composed, checked, changed, planned and run.

    from steermoe_core import Experiment, run
    experiment = Experiment.from_file("experiments/whisper_linear.toml")
    finished = run(experiment.with_settings({"train.steps": 100}))

A changed experiment has a run folder of its own, as everywhere.
"""

from __future__ import annotations

import copy
import warnings
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.config.resolve import Resolved, compose
from steermoe_core.config.text.given import DICT, given_layers
from steermoe_core.config.text.layers import Layers, open_layers
from steermoe_core.plugins import Registry, load_registry

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from steermoe_core.run.folder.finished import FinishedRun
    from steermoe_core.run.preview.plan import Plan


@attrs.frozen(eq=False, repr=False)
class Experiment:
    """A checked experiment with all its defaults. It never changes: `with_settings` returns another one."""

    _layers: Layers
    _resolved: Resolved
    _registry: Registry

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], changes: Mapping[str, Any] | None = None) -> Experiment:
        """Return the experiment of a TOML file.

        :param changes: as in `with_settings`; a change of the key of a sweep's axis selects that value.
        :raises ConfigError: with every problem of the file, its base files and the changes.
        :raises PluginError: when only missing or broken components are wrong.
        """
        file = Path(path)
        return cls._composed(open_layers(file), file, changes or {}, load_registry())

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any], *, base: str | os.PathLike[str] = ".") -> Experiment:
        """Return the experiment of a dict with the tables and keys of an experiment file.

        :param settings: dicts, lists, tuples, texts, paths, numbers and booleans; `extends` is allowed.
        :param base: folder at which relative paths in the settings start.
        :raises ConfigError: with every problem of the dict and its base files.
        :raises PluginError: when only missing or broken components are wrong.
        """
        folder = Path(base).absolute()
        return cls._composed(given_layers(settings, folder), DICT, {}, load_registry())

    def with_settings(self, changes: Mapping[str, Any]) -> Experiment:
        """Return the experiment with some settings changed; the files are not read again.

        :param changes: values by key path, such as ``{"train.steps": 10, "metrics.0.use": "cer"}``. They act
            like `--set` flags: a table merges with the present one, and another `use` drops the settings of
            the old component. Relative paths start at the working directory.
        :raises ConfigError: with every problem of the result.
        :raises PluginError: when only missing or broken components are wrong.
        """
        return self._composed(self._layers.copy(), self._resolved.path, changes, self._registry)

    @classmethod
    def _composed(
        cls, layers: Layers, path: Path | str, changes: Mapping[str, Any], registry: Registry
    ) -> Experiment:
        return cls(layers, compose(layers, path, changes, registry), registry)

    def __repr__(self) -> str:
        """Return the name of its run folder in angle brackets."""
        return f"<Experiment {self.name}-{self.digest}>"

    @property
    def name(self) -> str:
        """The name in `[experiment]`."""
        return self._resolved.experiment.experiment.name

    @property
    def digest(self) -> str:
        """8 hex digits of a hash of the settings: equal settings have equal digests, whatever set them."""
        return self._resolved.digest

    @property
    def settings(self) -> dict[str, Any]:
        """All settings with their defaults, as plain values; paths are absolute."""
        return copy.deepcopy(self._resolved.table)

    def toml(self, *, origins: bool = False) -> str:
        """Return an experiment file with all settings.

        :param origins: adds a comment to each value that says what set it.
        """
        return self._resolved.blame() if origins else self._resolved.to_toml()

    def check(self) -> None:
        """Import the code of every component, which `run` does before anything else.

        :raises PluginError: that is not possible; names each component with its place in the experiment.
        """
        _import_tqdm()
        from steermoe_core.run.assembly.parts import check_imports

        check_imports(self._resolved, self._registry)

    def plan(self, *, seconds: float = 10.0, runs: str | os.PathLike[str] = "runs") -> Plan:
        """Return parts, shapes, parameters, memory and data of a run without loading a weight.

        :param seconds: length of the clip whose shapes are shown.
        :param runs: parent folder of the run folders.
        :raises SetupError: the shapes of a model are not known on this machine.
        """
        _import_tqdm()
        from steermoe_core.run.preview.plan import plan

        return plan(self._resolved, self._registry, Path(runs), seconds=seconds)

    def run(
        self, runs: str | os.PathLike[str] = "runs", *, device: str | None = None, quiet: bool = False
    ) -> FinishedRun:
        """Train and score the experiment, as `steermoe_core.run` says."""
        if device is not None and device != self._resolved.experiment.train.device:
            return self.with_settings({"train.device": device}).run(runs, quiet=quiet)
        _import_tqdm()
        from steermoe_core.run.console import Console
        from steermoe_core.run.execute import Run
        from steermoe_core.scripting.execute import execute
        from steermoe_core.scripting.process import borrowed
        from steermoe_core.train.ranks import first

        with borrowed():
            self.check()
            console = Console(quiet=quiet or not first())
            return execute(Run(self._resolved, self._registry, Path(runs), console))


def _import_tqdm() -> None:
    """Import what libraries draw bars with, without its warning in a notebook that has no widgets."""
    with suppress(ImportError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_module("tqdm.auto")
