"""`steermoe serve`: the process, its address, its messages and its end."""

from __future__ import annotations

import re
import signal
import socket
from contextlib import closing
from typing import TYPE_CHECKING

import openai
import pytest

from steermoe_core.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig


def test_serves_until_interrupted(rig: Rig, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The official client gets the text that `steermoe transcribe` prints; Ctrl+C ends the server."""
    sound = rig.folder / "dev" / "001.wav"
    with rig.start("serve", str(finished), "--name", "tiny", "--port", "0") as server:
        assert server.stdout is not None
        loading, serving = server.stdout.readline(), server.stdout.readline()
        (address,) = re.findall(
            r"^serving tiny at (http://127\.0\.0\.1:\d+/v1) \(Ctrl\+C stops it\)$", serving
        )
        with openai.OpenAI(base_url=address, api_key="any", max_retries=0) as client:
            text = client.audio.transcriptions.create(model="tiny", file=sound).text
        server.send_signal(signal.SIGINT)
        rest = server.communicate(timeout=30)

    assert loading == f"loading {finished}\n"
    assert server.returncode == 130
    assert rest == ("", "steermoe: interrupted\n")
    capsys.readouterr()
    assert main(["transcribe", str(finished), str(sound)]) == 0
    assert capsys.readouterr().out == text + "\n"


@pytest.mark.parametrize(
    ("flags", "code", "sentence"),
    [
        (["--port", "70000"], 2, "--port must be a number from 0 to 65535, is 70000"),
        (["--max-mb", "0"], 2, "--max-mb must be positive, is 0"),
        (["--batch-size", "-1"], 2, "--batch-size must be positive, is -1"),
        (["--host", "203.0.113.9", "--port", "0"], 4, "cannot listen on 203.0.113.9 port 0"),
    ],
)
def test_bad_flags(flags: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A flag that cannot work is reported before a model is loaded."""
    assert main(["serve", "runs/none", *flags]) == code
    assert sentence in capsys.readouterr().err


def test_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    """A second server on a port says which flag to change."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        assert main(["serve", "runs/none", "--port", str(taken.getsockname()[1])]) == 4
    assert "choose another --port or --host" in capsys.readouterr().err
