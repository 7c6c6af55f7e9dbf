"""The endpoints: models and transcriptions, as the OpenAI API has them."""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from steermoe_core import DataError, UsageError, durations
from steermoe_serve.batching import Batching, FullError
from steermoe_serve.errors import ApiError
from steermoe_serve.form import read
from steermoe_serve.formats import FORMATS

if TYPE_CHECKING:
    from concurrent.futures import Future

    from starlette.datastructures import UploadFile
    from starlette.requests import Request

    from steermoe_core import Transcript
    from steermoe_serve.form import Transcription

_log = logging.getLogger(__name__)
#: Names under which a browser or a client on this machine reaches a server of this machine alone.
LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")
#: HTTP status of a request whose client has left; nobody reads it.
_CLIENT_LEFT = 499


@attrs.frozen(kw_only=True)
class Settings:
    """What the server allows.

    :param name: of the model, in requests.
    :param language: of the model, as clients name it (`en`); empty if it has none in particular.
    :param key: that clients must send; empty: none.
    :param most_bytes: of an upload.
    :param most_seconds: of a recording.
    :param hosts: names by which clients may address the server; empty: any.
    """

    name: str
    language: str = ""
    key: str = ""
    most_bytes: int = 25 * 2**20
    most_seconds: float = 7200.0
    hosts: tuple[str, ...] = ()


def application(batching: Batching, settings: Settings) -> Starlette:
    """Return the server of one model."""
    server = _Server(batching, settings)
    guard = [Middleware(TrustedHostMiddleware, allowed_hosts=list(settings.hosts))] if settings.hosts else []
    return Starlette(
        routes=[
            Route("/health", server.health),
            Route("/v1/models", server.models),
            Route("/v1/models/{name:path}", server.model),
            Route("/v1/audio/transcriptions", server.transcriptions, methods=["POST"]),
        ],
        middleware=guard,
        exception_handlers={ApiError: _api_error, HTTPException: _http_error},
    )


class _Server:
    def __init__(self, batching: Batching, settings: Settings) -> None:
        self._batching = batching
        self._settings = settings
        self._started = int(time.time())

    async def health(self, request: Request) -> Response:  # noqa: ARG002 - an endpoint takes it
        return JSONResponse({"status": "ok"})

    async def models(self, request: Request) -> Response:
        self._authorise(request)
        return JSONResponse({"object": "list", "data": [self._model()]})

    async def model(self, request: Request) -> Response:
        self._authorise(request)
        self._find(request.path_params["name"])
        return JSONResponse(self._model())

    async def transcriptions(self, request: Request) -> Response:
        self._authorise(request)
        async with read(request, self._settings.most_bytes) as asked:
            self._find(asked.model)
            self._check_language(asked.language)
            with tempfile.TemporaryDirectory(prefix="steermoe-serve-") as folder:
                file = await asyncio.to_thread(_saved, asked.file, Path(folder))
                transcript = await self._transcribed(request, asked, file)
        if transcript is None:
            return Response(status_code=_CLIENT_LEFT)
        return FORMATS[asked.form](transcript, self._settings.language or None)

    async def _transcribed(self, request: Request, asked: Transcription, file: Path) -> Transcript | None:
        """Return the transcript; None when the client has left."""
        (seconds,) = await asyncio.to_thread(durations, [file])
        most = self._settings.most_seconds
        if seconds > most:
            msg = f"The recording lasts {seconds:.0f} s; this server takes {most:g} s"
            raise ApiError(msg, param="file")
        length = math.inf if math.isnan(seconds) else seconds
        try:
            future = self._batching.submit(file, length, asked.prompt, words=asked.words)
            return await _unless_left(request, future)
        except FullError:
            msg = "Too many recordings are waiting; try again"
            raise ApiError(msg, status=503) from None
        except DataError as error:
            name = asked.file.filename or "the upload"
            raise ApiError(str(error).replace(str(file), name), param="file") from None
        except UsageError as error:
            raise ApiError(str(error), param="prompt" if asked.prompt else None) from None
        except Exception as error:  # noqa: BLE001 - a bug is this request's, not the server's
            _log.exception("a transcription failed")
            msg = f"The server failed: {type(error).__name__}"
            raise ApiError(msg, status=500) from None

    def _model(self) -> dict[str, Any]:
        return {
            "id": self._settings.name,
            "object": "model",
            "created": self._started,
            "owned_by": "steermoe",
        }

    def _find(self, name: str) -> None:
        if name != self._settings.name:
            msg = f"The model {name!r} does not exist; this server has {self._settings.name!r}"
            raise ApiError(msg, status=404, param="model", code="model_not_found")

    def _check_language(self, language: str) -> None:
        if language and language != self._settings.language:
            served = self._settings.language
            known = f"transcribes {served!r}" if served else "was started without --language"
            msg = f"language {language!r} is not available: this server {known}; leave language out"
            raise ApiError(msg, param="language")

    def _authorise(self, request: Request) -> None:
        key = self._settings.key
        sent = request.headers.get("authorization", "").removeprefix("Bearer ")
        if key and not hmac.compare_digest(sent.encode(), key.encode()):
            msg = "Incorrect API key provided"
            raise ApiError(msg, status=401, code="invalid_api_key")


def _saved(upload: UploadFile, folder: Path) -> Path:
    """Save an upload under its suffix: the format of some files shows in it only."""
    file = folder / f"upload{Path(upload.filename or '').suffix[:10]}"
    with file.open("wb") as out:
        shutil.copyfileobj(upload.file, out)
    return file


async def _unless_left(request: Request, future: Future[Transcript]) -> Transcript | None:
    """Wait for a transcript; None, and the recording is dropped if it waits still, when the client leaves."""
    result = asyncio.wrap_future(future)
    left = asyncio.create_task(_left(request))
    first: set[asyncio.Future[Any]] = {result, left}
    await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    left.cancel()
    if result.done():
        return result.result()
    if not future.cancel():  # being transcribed: the file must stay until then
        with suppress(Exception):
            await result
    return None


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _api_error(request: Request, error: Exception) -> Response:  # noqa: ARG001 - a handler takes both
    assert isinstance(error, ApiError)  # noqa: S101 - Starlette calls it for nothing else
    return error.response()


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - the same
    where = f" {request.method} {request.url.path}" if error.status_code in (404, 405) else ""
    return ApiError(f"{error.detail}{where}", status=error.status_code).response()
