"""The names of models on the page, and the address of the server."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

import pytest

from steermoe_core import SetupError, UsageError
from steermoe_demo.server import listening, names


def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is called by its last part, where that is enough to tell the models apart."""
    monkeypatch.chdir(tmp_path)
    for folder in ("runs/one", "other/one", "runs/two"):
        Path(folder).mkdir(parents=True)

    assert names(["runs/one", "runs/two/", "pocket/asr"]) == {
        "one": "runs/one",
        "two": "runs/two/",
        "pocket/asr": "pocket/asr",
    }
    assert list(names(["runs/one", "other/one"])) == ["runs/one", "other/one"]
    with pytest.raises(UsageError, match="runs/one is given twice; name each model once"):
        names(["runs/one", "runs/one"])


def test_port_in_use() -> None:
    """The error says which flag to change."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=f"cannot listen on 127.0.0.1 port {port} .*another --port"):
            listening("127.0.0.1", port)
