"""`steermoe demo`: the process, its address, its messages and its end."""

from __future__ import annotations

import http.client
import re
import signal
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig

pytest.importorskip("gradio", reason="gradio is not installed")


def test_serves_until_interrupted(rig: Rig, finished: Path) -> None:
    """The page answers under names of this machine only, hands out no other file, and ends with Ctrl+C."""
    with rig.start("demo", str(finished), "--port", "0") as server:
        assert server.stdout is not None
        loading, opening = server.stdout.readline(), server.stdout.readline()
        (port,) = re.findall(r"^open http://127\.0\.0\.1:(\d+) \(Ctrl\+C stops it\)$", opening)
        found = [
            _get(int(port), *asked)
            for asked in (("/",), ("/", "evil.example"), (f"/gradio_api/file={rig.file}",))
        ]
        server.send_signal(signal.SIGINT)
        rest = server.communicate(timeout=30)

    assert loading == f"loading {finished}\n"
    assert found == [200, 400, 403]
    assert server.returncode == 130
    assert rest == ("", "steermoe: interrupted\n")


@pytest.mark.parametrize(
    ("flags", "code", "sentence"),
    [
        (["--port", "70000"], 2, "--port must be a number from 0 to 65535, is 70000"),
        (["runs/none", "--port", "0"], 2, "runs/none is given twice; name each model once"),
        (["--host", "203.0.113.9", "--port", "0"], 4, "cannot listen on 203.0.113.9 port 0"),
        (["--port", "0"], 2, "runs/none holds no trained adapter"),
    ],
)
def test_bad_flags(flags: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is one sentence, before a model is loaded."""
    assert main(["demo", "runs/none", *flags]) == code
    assert sentence in capsys.readouterr().err


def _get(port: int, path: str, host: str = "localhost") -> int:
    """Return the status of an address, which is tried until the server is up."""
    for _ in range(300):
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
                connection.request("GET", path, headers={"Host": host})
                return connection.getresponse().status
        except ConnectionError:
            continue
    pytest.fail("no answer")
