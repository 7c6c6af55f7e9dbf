"""What a run leaves behind, and who may write to it.

    runs/<experiment name>-<8 hex of the resolved config>/
      experiment.toml  lock.json  status.json  metrics.jsonl
      evidence.json  certificates.json
      checkpoints/step-<n>/  adapter/  evaluations/<split>/  report/index.html
      .claim/          while a process writes here: its owner

Files are written to another name and renamed, so none is ever seen half written.
"""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.errors import RunFolderError, UsageError
from steermoe_core.run.folder.claim import CLAIM, ClaimedError, claimed, holder
from steermoe_core.run.folder.records import Evidence, Status
from steermoe_core.system.files import saving
from steermoe_core.system.records import plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from steermoe_core.config.experiment import TrainConfig
    from steermoe_core.config.resolve import Resolved


#: What to do about a run folder that cannot be made.
OTHER_RUNS = "choose another --runs folder"


class RunFolder:
    """The folder of one run; names of its files, its status and who works in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.experiment = path / "experiment.toml"
        self.lock = path / "lock.json"
        self.metrics = path / "metrics.jsonl"
        self.evidence = path / "evidence.json"
        self.certificates = path / "certificates.json"
        self.checkpoints = path / "checkpoints"
        self.adapter = path / "adapter"
        self.evaluations = path / "evaluations"
        self.own_decoder = path / "own-decoder"
        self.report = path / "report" / "index.html"

    @classmethod
    def of(cls, resolved: Resolved, runs: Path) -> RunFolder:
        """Return the folder of an experiment."""
        return cls(runs / resolved.folder)

    @classmethod
    def existing(cls, path: Path) -> RunFolder:
        """Return the folder of a run that was started before.

        :raises UsageError: there is none at this path.
        """
        folder = cls(path)
        if not folder.experiment.is_file():
            msg = f"{path} is not a run folder: it has no experiment.toml"
            raise UsageError(msg)
        return folder

    @property
    def status(self) -> Status | None:
        """The last status written; None before the first, or where it is damaged.

        :raises RunFolderError: there is a folder in its place.
        """
        path = self.path / "status.json"
        if path.is_dir():
            msg = f"{path} is a folder, where a run writes how far it is; move it away"
            raise RunFolderError(msg)
        return Status.salvage(path)

    @property
    def state(self) -> str | None:
        """The state in the status; None before the first."""
        return self.status.state if self.status else None

    def steps(self, train: TrainConfig) -> int | None:
        """Return the number of steps that the run trains for; None before its epochs are counted.

        :param train: of its experiment.
        """
        return self.status.steps if train.steps is None and self.status else train.steps

    @property
    def scored(self) -> list[str]:
        """The splits that have scores, sorted; a folder whose name starts with a dot is not complete."""
        return sorted(path.parent.name for path in self.evaluations.glob("[!.]*/scores.json"))

    @property
    def in_use(self) -> bool:
        """Whether a process holds it now."""
        return holder(self.path) is not None

    def set_status(self, state: str, **values: Any) -> None:
        """Write the state and what changed with it; earlier values stay."""
        status = self.status or Status(state=state)
        write_json(self.path / "status.json", attrs.evolve(status, state=state, **values, updated=now()))

    def read_evidence(self) -> Evidence:
        """Return what training observed; an empty record where the file is lost or damaged."""
        return Evidence.salvage(self.evidence) or Evidence()

    def add_evidence(self, **values: Any) -> None:
        """Add to what training observed."""
        write_json(self.evidence, attrs.evolve(self.read_evidence(), **values))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other process out of this folder while the block runs.

        :raises RunFolderError: another process holds it; it is named.
        """
        with saving(self.path, OTHER_RUNS):
            self.path.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            try:
                with saving(self.path / CLAIM):
                    stack.enter_context(claimed(self.path))
            except ClaimedError as error:
                msg = f"{self.path} is in use by {error}; wait for it or stop it"
                raise RunFolderError(msg) from None
            yield


def now() -> str:
    """Return the time of day as ISO 8601, UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@contextmanager
def whole_folder(final: Path) -> Iterator[Path]:
    """Give a temporary folder to fill; it takes the place of the final one when it is complete.

    :raises CheckpointError: the disk is full or not writable.
    """
    partial, old = (final.with_name(f".{final.name}.{suffix}") for suffix in ("partial", "old"))
    with saving(final):
        try:
            for leftover in (partial, old):
                shutil.rmtree(leftover, ignore_errors=True)
            partial.mkdir(parents=True)
            yield partial
            if final.exists():
                final.replace(old)
            partial.replace(final)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Write a record, or plain values, as a file that is never seen half written.

    :raises CheckpointError: the disk is full or not writable.
    """
    write_text(path, json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str, instead: str = "") -> None:
    """Write a file that is never seen half written.

    :param instead: what else the user can do if it cannot be written, such as choosing another folder.
    :raises CheckpointError: the disk is full or not writable.
    """
    partial = path.with_name(f".{path.name}.partial")
    with saving(path, instead):
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
