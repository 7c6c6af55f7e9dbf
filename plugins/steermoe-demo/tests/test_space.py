"""The files of a Space, and that its app.py starts from the pushed repository."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
import yaml
from packaging.requirements import Requirement

from steermoe_core.cli.main import main
from tests.hub import TOKEN, logged_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.hub import Hub
    from tests.rig import Rig

pytest.importorskip("gradio", reason="gradio is not installed")


@pytest.fixture
def hub(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Yield a hub that the rig's model was pushed to."""
    with logged_in(monkeypatch, tmp_path / "hub-cache") as hub:
        assert main(["push", str(finished), "ada/tiny"]) == 0
        yield hub


def test_the_files_of_a_space(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The front matter that the hub reads, exact requirements, and the command that uploads them."""
    capsys.readouterr()
    assert main(["demo", "hub:ada/tiny", "--space", str(tmp_path / "space")]) == 0

    assert capsys.readouterr().out.splitlines() == [
        f"wrote {tmp_path / 'space'}",
        f"hf upload OWNER/NAME {tmp_path / 'space'} --repo-type space",
    ]
    card = yaml.safe_load((tmp_path / "space" / "README.md").read_text().split("---\n")[1])
    assert (card["sdk"], card["app_file"], card["models"]) == ("gradio", "app.py", ["ada/tiny"])
    assert card["sdk_version"] == version("gradio")
    lines = (tmp_path / "space" / "requirements.txt").read_text().splitlines()
    needed = {one.name: str(one.specifier) for one in map(Requirement, lines)}
    assert set(needed) == {"steermoe", "steermoe-demo", "steermoe-rig"}
    assert needed["steermoe"] == f"=={version('steermoe')}"


def test_its_app_starts(hub: Hub, rig: Rig, tmp_path: Path) -> None:
    """`python app.py`, as a Space does, fetches the model and serves the page."""
    space = tmp_path / "space"
    assert main(["demo", "hub:ada/tiny", "--space", str(space)]) == 0
    environment = {
        "PYTHONPATH": rig.paths,
        "HF_ENDPOINT": hub.address,
        "HF_HUB_OFFLINE": "0",
        "HF_TOKEN": TOKEN,
        "HF_HUB_CACHE": str(tmp_path / "cache"),
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port := _free()),
    }
    app = subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=space,
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        text = _page(port, app)
    finally:
        app.terminate()
        errors = app.communicate(timeout=30)[1]

    assert "ada/tiny" in text, errors
    assert "What is in the recording?" in text


def test_models_that_a_space_cannot_have(
    hub: Hub, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One on this machine has to be pushed first; files are not overwritten."""
    assert main(["demo", str(finished), "--space", "space"]) == 2
    assert "upload it with `steermoe push" in capsys.readouterr().err
    assert main(["demo", "hub:ada/tiny", "--space", "space"]) == 0
    assert main(["demo", "hub:ada/tiny", "--space", "space"]) == 2
    assert "space/app.py exists; choose another folder" in capsys.readouterr().err
    assert main(["demo", "hub:ada/none", "--space", "other"]) == 4


def _free() -> int:
    import socket
    from contextlib import closing

    with closing(socket.create_server(("127.0.0.1", 0))) as place:
        return int(place.getsockname()[1])


def _page(port: int, app: subprocess.Popen[str]) -> str:
    """Return the page's description once the app serves it."""
    end = time.monotonic() + 60
    while time.monotonic() < end and app.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/config", timeout=30) as response:
                return str(response.read().decode())
        except OSError:
            time.sleep(0.2)
    return ""
