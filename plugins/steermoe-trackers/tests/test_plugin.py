"""The plugin's records, and how cheap they are to read: a library is imported when a run needs it."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tomli

import steermoe_trackers
from steermoe_core.cli.main import main
from steermoe_trackers.config import MlflowConfig

if TYPE_CHECKING:
    from tests.rig import Rig

LIBRARIES = {"torch", "transformers", "numpy", "tensorboard", "trackio", "wandb", "mlflow"}


def test_offers_four_callbacks() -> None:
    """Each requires the package of its extra."""
    file = Path(steermoe_trackers.__file__).parents[1] / "pyproject.toml"
    extras = tomli.loads(file.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    required = {part.name: part.requires for part in steermoe_trackers.steermoe_callbacks()}

    assert required == {name: (extras[name][0],) for name in ("tensorboard", "trackio", "wandb", "mlflow")}


def test_records_and_settings_import_no_library() -> None:
    """Listing and checking import none; nor does building the callbacks import a tracker's."""
    code = (
        "import sys, steermoe_trackers\n"
        "parts = list(steermoe_trackers.steermoe_callbacks())\n"
        "configs = [part.config_class()() for part in parts]\n"
        f"print(sorted({LIBRARIES} & set(sys.modules)))\n"
        "for part, config in zip(parts, configs): part.build(config)\n"
        "print(sorted({'trackio', 'wandb', 'mlflow', 'tensorboard'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split("\n")[:2] == ["[]", "[]"]


@pytest.mark.parametrize(
    ("package", "wanted"),
    [
        ("mlflow-skinny", "mlflow-skinny>=3"),
        ("sqlalchemy", "sqlalchemy>=2"),
        ("wandb", "wandb>=0.31"),
        ("trackio", "trackio>=0.40"),
        ("tensorboard", "tensorboard>=2.20"),
    ],
)
def test_check_reports_a_missing_package(
    package: str,
    wanted: str,
    rig: Rig,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the command that installs it."""
    tracker = {"mlflow-skinny": "mlflow", "sqlalchemy": "mlflow"}.get(package, package)

    def version(name: str) -> str:
        if name == package:
            raise metadata.PackageNotFoundError(name)
        return "99"

    monkeypatch.setattr("steermoe_core.plugins.requirements.version", version)

    assert main(["check", str(rig.file), "--set", f'callbacks=[{{use="{tracker}"}}]']) == 3
    err = capsys.readouterr().err
    assert f'callback "{tracker}" (steermoe-trackers 0.1.0) needs {wanted}, which is not installed' in err
    assert f"pip install '{wanted}'" in err


def test_a_server_of_mlflow_needs_no_local_store() -> None:
    """SQLAlchemy is for the local one."""
    assert MlflowConfig(uri="http://localhost:5000").requires == ()
    assert MlflowConfig(uri="sqlite:///mlflow.db").requires == ("alembic>=1.10", "sqlalchemy>=2")
