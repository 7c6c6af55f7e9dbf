"""What a sweep or ladder began with: its runs, and the code that all of them are run with.

    runs/.sweeps/<8 hex of its runs>/begun.json

It is written at the first start. A worker needs nothing else, so a file that is edited while workers wait in
a queue changes none of their runs. No run is started with other code than the first.
"""

from __future__ import annotations

import errno
import hashlib
import json
import platform
import shutil
from importlib import invalidate_caches
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, ClassVar

import attrs

from steermoe_core.errors import RunFolderError, UsageError
from steermoe_core.plugins.offers import code_files
from steermoe_core.plugins.plugin import ENGINE
from steermoe_core.run.folder.lock import packages, version_of
from steermoe_core.run.folder.run_folder import OTHER_RUNS, RunFolder, write_json
from steermoe_core.study.jobs import Job
from steermoe_core.system.files import saving
from steermoe_core.system.records import Json, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from steermoe_core.plugins import Registry

FILE = "begun.json"
_MODULE = "steermoe_core"


@attrs.frozen(kw_only=True)
class Planned:
    """A run of the sweep, as `Job` has it; paths are relative to the folder in which the sweep began."""

    name: str
    settings: Json
    folder: str
    words: list[str]
    experiment: str
    toml: str

    @classmethod
    def of(cls, job: Job) -> Planned:
        """Return the record of a job."""
        return cls(
            name=job.name,
            settings=dict(job.settings),
            folder=str(job.folder.path),
            words=list(job.words),
            experiment=str(job.experiment),
            toml=job.toml,
        )

    @property
    def job(self) -> Job:
        """The job."""
        return Job(
            name=self.name,
            settings=self.settings,
            folder=RunFolder(Path(self.folder)),
            words=self.words,
            experiment=Path(self.experiment),
            toml=self.toml,
            train=None,
        )


@attrs.frozen(kw_only=True)
class Code:
    """What is installed.

    :param versions: of Python, of plugins and of the packages that can change a number.
    :param files: SHA-256 of the code of the engine and of each plugin, by module; None where it is gone.
    """

    versions: dict[str, str | None]
    files: dict[str, str | None]

    @classmethod
    def installed(cls, registry: Registry) -> Code:
        """Return what the active plugins and the engine use now."""
        active = [plugin for plugin in registry.plugins if plugin.status == "active"]
        distributions = {plugin.distribution for plugin in active} | {ENGINE} | {*packages(registry)}
        modules = {plugin.value.partition(":")[0] for plugin in active} | {_MODULE}
        return cls._read(distributions, modules - {""})

    @classmethod
    def _read(cls, distributions: Iterable[str], modules: Iterable[str]) -> Code:
        invalidate_caches()
        versions = {name: version_of(name) for name in sorted(distributions)}
        return cls(
            versions={**versions, "Python": platform.python_version()},
            files={name: _digest(name) for name in sorted(modules)},
        )

    def changes(self) -> list[str]:
        """Return what is no longer as it is here, each as a few words."""
        now = Code._read(self.versions.keys() - {"Python"}, self.files)
        versions = [
            f"{name} {before or 'none'} → {now.versions[name] or 'none'}"
            for name, before in self.versions.items()
            if now.versions[name] != before
        ]
        return versions + [f"code of {name}" for name in self.files if now.files[name] != self.files[name]]


@attrs.frozen(kw_only=True)
class Begun(Record):
    """The content of begun.json."""

    REMEDY: ClassVar[str] = "delete {folder} to begin again"

    code: Code
    runs: list[Planned]

    @property
    def jobs(self) -> list[Job]:
        """Its runs as jobs."""
        return [run.job for run in self.runs]


@attrs.frozen
class Beginning:
    """The folder of a sweep that has begun."""

    folder: Path
    begun: Begun

    @classmethod
    def of(cls, jobs: Sequence[Job], registry: Registry, runs: Path) -> Beginning:
        """Return the beginning of a sweep, which is now if it has none yet.

        :param runs: the folder that holds the run folders.
        """
        names = sorted(str(job.folder.path.relative_to(runs)) for job in jobs)
        folder = runs / ".sweeps" / hashlib.sha256(json.dumps(names).encode()).hexdigest()[:8]
        if not folder.exists():
            _write(folder, Begun(code=Code.installed(registry), runs=[Planned.of(job) for job in jobs]))
        return cls(folder, Begun.read(folder / FILE))

    @classmethod
    def read(cls, folder: Path) -> Beginning:
        """Return the beginning in a folder.

        :raises UsageError: there is none.
        """
        begun = Begun.find(folder / FILE)
        if begun is None:
            msg = f"{folder} is not the folder of a sweep: it has no {FILE}"
            raise UsageError(msg)
        return cls(folder, begun)

    def check(self) -> None:
        """Make sure that the code is still that of the beginning.

        :raises RunFolderError: it changed; says what.
        """
        if changed := self.begun.code.changes():
            msg = (
                f"no run is started: {', '.join(changed)} changed since the sweep began; restore what it "
                f"began with, or delete {self.folder} to run what is left with what is installed now"
            )
            raise RunFolderError(msg)


def _write(folder: Path, begun: Begun) -> None:
    """Write the folder of a sweep, unless another process is quicker."""
    draft = folder.with_name(f"{folder.name}.{token_hex(4)}")
    with saving(folder, OTHER_RUNS):
        try:
            draft.mkdir(parents=True)
            write_json(draft / FILE, begun)
            draft.rename(folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _digest(module: str) -> str | None:
    """Return a digest of the code of a module or package; None where there is none."""
    files = sorted(code_files(module))
    digest = hashlib.sha256()
    for file in files:
        path = Path(file)
        digest.update(f"{path.name} ".encode())
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()[:16] if files else None
