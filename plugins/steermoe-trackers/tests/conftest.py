"""Whole runs on tiny parts, as the engine's own tests have them, and one that all trackers followed."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.conftest import decoder_folder, finished, rig, rig_plugin, site, trained_once

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.rig import Rig

__all__ = ["decoder_folder", "finished", "rig", "rig_plugin", "site", "trained_once"]

PACKAGES = {"tensorboard": "tensorboard", "trackio": "trackio", "wandb": "wandb", "mlflow": "mlflow"}
TABLES = {
    "tensorboard": '{use="tensorboard", clips=2, timeout=300.0}',
    "trackio": '{use="trackio", clips=2, timeout=300.0, project="tests"}',
    "wandb": '{use="wandb", clips=2, timeout=300.0, project="tests", offline=true}',
    "mlflow": '{use="mlflow", clips=2, timeout=300.0, project="tests"}',
}


@pytest.fixture(scope="package", autouse=True)
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a folder that has the stores of the trackers; no account of this machine is used."""
    folder = tmp_path_factory.mktemp("stores")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACKIO_DIR", str(folder / "trackio"))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        patch.setenv("MLFLOW_REGISTRY_URI", f"sqlite:///{folder}/mlflow.db")
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("WANDB_CACHE_DIR", str(folder / "wandb-cache"))
        patch.setenv("WANDB_CONFIG_DIR", str(folder / "wandb-config"))
        patch.setenv("WANDB_DATA_DIR", str(folder / "wandb-data"))
        for name in ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "WANDB_API_KEY", "WANDB_MODE", "WANDB_DIR"):
            patch.delenv(name, raising=False)
        yield folder


@pytest.fixture(scope="session")
def runs() -> dict[str, Path]:
    """Return the runs that `tracked` has made in this session."""
    return {}


@pytest.fixture
def tracked(rig: Rig, stores: Path, runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a run that all installed trackers followed; it was killed in step 5 of 6, and resumed."""
    if not runs:
        monkeypatch.chdir(stores)  # MLflow keeps artifacts in the working directory
        tables = [table for name, table in TABLES.items() if _installed(name)]
        flags = f'callbacks=[{{use="steering-analysis", every=2}}, {", ".join(tables)}, {{use="rig"}}]'
        process = rig.process(flags, "train.save_every=4", RIG="kill@5")
        out, err = process.communicate()
        assert process.returncode == -signal.SIGKILL, err
        assert not out  # stdout is for the results
        assert "warning" not in err.lower()
        assert "transformers" not in err
        runs["tracked"] = rig.run(flags, "train.save_every=4")
    return runs["tracked"]


def _installed(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(PACKAGES[name]) is not None
