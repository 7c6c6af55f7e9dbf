"""Files that are whole or not there, a folder that one process holds."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
from pathlib import Path

import attrs
import pytest

from steermoe_core.errors import CheckpointError, RunFolderError, UsageError
from steermoe_core.run.folder.records import Status
from steermoe_core.run.folder.run_folder import RunFolder, whole_folder, write_json
from tests.misbehaving import full


def hold(path: Path, held: object, go: object) -> None:
    """Hold a folder until told to go."""
    with RunFolder(path).held():
        held.set()  # type: ignore[attr-defined]
        go.wait(60)  # type: ignore[attr-defined]


class TestHeld:
    """One process at a time."""

    def test_leaves_nothing(self, tmp_path: Path) -> None:
        """The claim is there while the folder is held, and names this process."""
        folder = RunFolder(tmp_path / "run")

        with folder.held():
            (file,) = (folder.path / ".claim").iterdir()
            assert f",pid={os.getpid()}," in file.name

        assert list(folder.path.iterdir()) == []

    def test_refuses_a_second_process(self, tmp_path: Path) -> None:
        """The first one is named; when it is gone the folder is free."""
        spawn = multiprocessing.get_context("spawn")
        held, go = spawn.Event(), spawn.Event()
        process = spawn.Process(target=hold, args=(tmp_path / "run", held, go))
        process.start()
        assert held.wait(60)
        folder = RunFolder(tmp_path / "run")

        with pytest.raises(RunFolderError, match=f"in use by process {process.pid}; wait"), folder.held():
            pass
        assert folder.in_use

        go.set()
        process.join()
        with folder.held():
            pass

    def test_survives_a_disk_that_became_read_only(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The claim stays; once its process has ended it holds nobody."""

        def refuse(path: Path, **_: object) -> None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

        with monkeypatch.context() as patch, RunFolder(tmp_path).held():
            patch.setattr(Path, "unlink", refuse)
        assert list((tmp_path / ".claim").iterdir())


class TestStatus:
    """status.json."""

    def test_keeps_what_is_not_changed(self, tmp_path: Path) -> None:
        """Each write changes the state and what goes with it."""
        folder = RunFolder(tmp_path)
        folder.set_status("running", step=3, started="now")
        folder.set_status("failed", error="why")

        assert folder.status
        assert attrs.evolve(folder.status, updated=None) == Status(
            state="failed", step=3, started="now", error="why"
        )

    @pytest.mark.parametrize("content", [None, b"", b"{", b"\xff", b"3"])
    def test_none_before_the_first_or_when_damaged(self, tmp_path: Path, content: bytes | None) -> None:
        """A run without a readable status is one to begin or go on with."""
        if content is not None:
            (tmp_path / "status.json").write_bytes(content)

        assert RunFolder(tmp_path).status is None


def test_existing_needs_an_experiment(tmp_path: Path) -> None:
    """Any other folder is no run folder."""
    with pytest.raises(UsageError, match=r"is not a run folder: it has no experiment\.toml"):
        RunFolder.existing(tmp_path)


def test_failed_write_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old file stays, no half file is left, the sentence names the file."""
    path = tmp_path / "scores.json"
    write_json(path, {"wer": 0.5})
    monkeypatch.setattr(Path, "write_text", full)

    with pytest.raises(CheckpointError, match=r"scores\.json was not saved \(.*No space left"):
        write_json(path, {"wer": 0.4})

    assert json.loads(path.read_bytes()) == {"wer": 0.5}
    assert list(tmp_path.iterdir()) == [path]


class TestWholeFolder:
    """A folder that appears when it is complete."""

    def test_takes_the_place_of_the_old_one(self, tmp_path: Path) -> None:
        """Nothing of the old one stays, nothing temporary either."""
        final = tmp_path / "dev"
        for name in ("old", "new"):
            with whole_folder(final) as partial:
                (partial / name).touch()
                assert not (final / name).exists()

        assert [path.name for path in final.iterdir()] == ["new"]
        assert list(tmp_path.iterdir()) == [final]

    @pytest.mark.parametrize("error", [KeyboardInterrupt, CheckpointError])
    def test_leaves_the_old_one_when_it_fails(self, tmp_path: Path, error: type[BaseException]) -> None:
        """An interruption is passed on as it is."""
        final = tmp_path / "dev"
        with whole_folder(final) as partial:
            (partial / "old").touch()

        with pytest.raises(error), whole_folder(final) as partial:  # noqa: PT012 - what fails inside
            (partial / "new").touch()
            raise error

        assert [path.name for path in tmp_path.rglob("*")] == ["dev", "old"]
