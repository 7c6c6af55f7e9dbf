"""The endpoints, as the official client sees them: formats, limits, errors, batches, clients that leave."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import attrs
import openai
import pytest
import uvicorn

import steermoe_core
from steermoe_serve.app import LOOPBACK, Settings, application
from steermoe_serve.batching import Batching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.rig import Rig

DEV = ("000.wav", "001.wav", "002.wav", "003.wav")


class Gate:
    """A real model that waits until it may begin, and counts the recordings of each call."""

    def __init__(self, model: Any) -> None:
        self.model, self.open, self.calls, self.fail = model, threading.Event(), [], False
        self.open.set()

    def transcripts(self, sounds: list[Path], prompt: str | None = None, **limits: Any) -> Iterator[Any]:
        """Do as `Transcriber.transcripts` does."""
        self.calls.append(len(sounds))
        assert self.open.wait(30)
        if self.fail:
            raise MemoryError
        return self.model.transcripts(sounds, prompt, **limits)


@attrs.frozen
class Served:
    """A server in this process."""

    client: openai.OpenAI
    gate: Gate
    port: int

    def text(self, file: Any, **fields: Any) -> Any:
        """Return the answer of the official client."""
        return self.client.audio.transcriptions.create(model="tiny", file=file, **fields)

    def post(self, fields: str, path: str = "/v1/audio/transcriptions") -> tuple[int, Any]:
        """Send a raw form."""
        sent = {"Content-Type": "multipart/form-data; boundary=x"}
        return self.request("POST", path, fields.encode(), sent)

    def request(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        """Send a raw request; return the status and the body, as JSON where it is."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            text = response.read()
        return response.status, json.loads(text) if text.startswith(b"{") else text


@pytest.fixture
def serve(finished: Path) -> Iterator[Callable[..., Served]]:
    """Yield a function that starts a server of the rig's model."""
    gate = Gate(steermoe_core.load(finished))
    running = []

    def start(most: int = 256, **settings: Any) -> Served:
        app = application(Batching(gate, most=most), Settings(name="tiny", hosts=LOOPBACK, **settings))
        place = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [place]})
        thread.start()
        port = place.getsockname()[1]
        key = settings.get("key", "any")
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=key, max_retries=0)
        running.append((client, server, thread))
        return Served(client, gate, port)

    yield start
    gate.open.set()
    for client, server, thread in running:
        client.close()
        server.should_exit = True
        thread.join(30)


def test_formats(rig: Rig, finished: Path, serve: Callable[..., Served]) -> None:
    """Each response format has the text that the model gives in Python."""
    served, sound = serve(language="en"), rig.folder / "dev" / "001.wav"
    (transcript,) = steermoe_core.load(finished).transcripts([sound])
    assert isinstance(transcript, steermoe_core.Transcript)

    verbose = served.text(sound, response_format="verbose_json", language="en")
    assert served.text(sound).text == transcript.text
    assert served.text(sound, response_format="text") == transcript.text + "\n"
    assert served.text(sound, response_format="srt") == transcript.srt()
    assert served.text(sound, response_format="vtt") == transcript.vtt()
    assert (verbose.text, verbose.language, verbose.duration) == (transcript.text, "en", transcript.seconds)
    (segment,) = verbose.segments
    assert (segment.start, segment.end, segment.text) == (0.0, transcript.seconds, transcript.text)
    assert segment.avg_logprob is None


def test_words(rig: Rig, finished: Path, serve: Callable[..., Served]) -> None:
    """Of the whole recording, as the model finds them in Python; only where they are asked for."""
    served, sound = serve(), rig.folder / "dev" / "001.wav"
    (segment,) = steermoe_core.load(finished).segments(sound, words=True)

    found = served.text(sound, response_format="verbose_json", timestamp_granularities=["word", "segment"])

    assert [(one.start, one.end, one.word) for one in found.words] == [
        (one.start, one.end, one.word) for one in segment.words or ()
    ]
    assert [one.text for one in found.segments] == [segment.text]
    assert served.text(sound, response_format="verbose_json").words is None


def test_models(serve: Callable[..., Served]) -> None:
    """The model is listed, and another name is an error that clients know."""
    served = serve()

    assert [one.id for one in served.client.models.list()] == ["tiny"]
    assert served.client.models.retrieve("tiny").owned_by == "steermoe"
    with pytest.raises(openai.NotFoundError, match="'whisper-1' does not exist") as caught:
        served.client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"x"))
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"response_format": "xml"}, "choose from json, text, srt, verbose_json, vtt"),
        ({"temperature": 0.5}, "answers are decoded greedily"),
        ({"stream": True}, "a transcript is sent when it is complete"),
        ({"timestamp_granularities": ["phoneme"]}, "there are times of segments and of words"),
        ({"timestamp_granularities": ["word"]}, "times of words need response_format 'verbose_json'"),
        ({"language": "de"}, "started without --language"),
        ({"include": ["logprobs"]}, "Unrecognized request argument supplied: include"),
    ],
)
def test_fields_without_effect(
    fields: dict[str, Any], sentence: str, rig: Rig, serve: Callable[..., Served]
) -> None:
    """A field that this server cannot honour is an error, never ignored."""
    with pytest.raises(openai.BadRequestError, match=sentence) as caught:
        serve().text(rig.folder / "dev" / "001.wav", **fields)
    assert caught.value.param is not None
    assert caught.value.param.startswith(next(iter(fields)))


def test_malformed_uploads(rig: Rig, serve: Callable[..., Served]) -> None:
    """What cannot be read is the client's error, in one sentence with the name of its file."""
    served = serve(most_bytes=100_000, most_seconds=0.1)

    for content in (b"", b"junk" * 100, b"RIFF\xff\xff\xff\xffWAVEfmt "):
        with pytest.raises(openai.BadRequestError, match=r"speech\.wav: ") as caught:
            served.text(("speech.wav", content))
        assert caught.value.param == "file"
    with pytest.raises(openai.APIStatusError, match=r"larger than 0\.0953674 MB") as large:
        served.text(("speech.wav", b"0" * 200_000))
    assert large.value.status_code == 413
    with pytest.raises(openai.BadRequestError, match=r"lasts \d+ s; this server takes 0\.1 s"):
        served.text(rig.folder / "dev" / "001.wav")
    assert served.post("")[0] == 400
    assert served.post("--x\r\nnonsense")[0] == 400
    status, answer = served.post(
        '--x\r\nContent-Disposition: form-data; name="file"\r\n\r\ntext\r\n--x--\r\n'
    )
    assert (status, answer["error"]["param"]) == (400, "file")
    status, answer = served.post("", path="/v1/audio/translations")
    assert (status, answer["error"]["message"]) == (404, "Not Found POST /v1/audio/translations")


def test_waiting_requests_share_batches(rig: Rig, serve: Callable[..., Served]) -> None:
    """Of 32 requests at once, those that wait are answered together, each with its own text."""
    served = serve()
    alone = {name: served.text(rig.folder / "dev" / name).text for name in DEV}
    served.gate.calls.clear()
    served.gate.open.clear()

    with ThreadPoolExecutor(32) as pool:
        asked = [pool.submit(served.text, rig.folder / "dev" / DEV[number % 4]) for number in range(32)]
        _until(lambda: bool(served.gate.calls))
        time.sleep(1.0)  # the others arrive
        served.gate.open.set()
        texts = [one.result().text for one in asked]

    assert texts == [alone[DEV[number % 4]] for number in range(32)]
    assert sum(served.gate.calls) == 32
    assert max(served.gate.calls) >= 16


def test_a_client_that_leaves(rig: Rig, serve: Callable[..., Served]) -> None:
    """Its recording is dropped if it waits; the server answers others."""
    served, sound = serve(), rig.folder / "dev" / "001.wav"
    served.gate.open.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(served.text, sound)
        _until(lambda: served.gate.calls == [1])
        with pytest.raises(openai.APITimeoutError):
            served.client.with_options(timeout=0.5).audio.transcriptions.create(model="tiny", file=sound)
        time.sleep(0.5)
        served.gate.open.set()
        text = first.result().text

    assert served.text(sound).text == text
    assert served.gate.calls == [1, 1]


def test_too_many_wait(rig: Rig, serve: Callable[..., Served]) -> None:
    """A full queue is an error that clients retry."""
    served, sound = serve(most=1), rig.folder / "dev" / "001.wav"
    served.gate.open.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(served.text, sound)
        _until(lambda: served.gate.calls == [1])
        second = pool.submit(served.text, sound)
        time.sleep(0.5)
        with pytest.raises(openai.InternalServerError, match="Too many recordings are waiting") as caught:
            served.text(sound)
        served.gate.open.set()
        assert first.result().text == second.result().text
    assert caught.value.status_code == 503
    assert caught.value.response.headers["retry-after"] == "1"


def test_a_failure_of_the_model(rig: Rig, serve: Callable[..., Served]) -> None:
    """It is the server's error, and the next request is answered."""
    served, sound = serve(), rig.folder / "dev" / "001.wav"
    served.gate.fail = True
    with pytest.raises(openai.InternalServerError, match="The server failed: MemoryError"):
        served.text(sound)
    served.gate.fail = False
    assert served.text(sound).text


def test_keys_and_hosts(rig: Rig, serve: Callable[..., Served]) -> None:
    """With a key, others are refused; a page of another site cannot reach a local server by its own name."""
    served, sound = serve(key="secret"), rig.folder / "dev" / "001.wav"

    assert served.text(sound).text
    with pytest.raises(openai.AuthenticationError, match="Incorrect API key provided"):
        served.client.with_options(api_key="other").audio.transcriptions.create(model="tiny", file=sound)
    assert served.request("GET", "/health", b"", {})[0] == 200
    assert served.request("GET", "/health", b"", {"Host": "evil.example"})[0] == 400


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
