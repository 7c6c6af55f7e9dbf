"""The form of a transcription request: read up to a size, and checked field by field."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from steermoe_serve.errors import ApiError
from steermoe_serve.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.datastructures import FormData
    from starlette.types import Message

_GRANULARITIES = "timestamp_granularities[]"
#: Fields with few possible values in this server, and those.
_FIXED = {
    "temperature": ("0", "0.0"),
    "chunking_strategy": ("auto",),
    "stream": ("false",),
    _GRANULARITIES: ("segment", "word"),
}
#: Why no other value is possible.
_REASONS = {
    "temperature": "answers are decoded greedily",
    "chunking_strategy": "long recordings are cut at their pauses",
    "stream": "a transcript is sent when it is complete",
    _GRANULARITIES: "there are times of segments and of words",
}
_KNOWN = ("file", "language", "model", "prompt", "response_format", *_FIXED)
#: An upload over the limit is read and dropped up to this multiple of it, so that the client gets the answer.
_DRAINED = 8


@attrs.frozen(kw_only=True)
class Transcription:
    """A checked request.

    :param form: key of `FORMATS`.
    :param language: what the client says the recording is in; empty if it does not.
    :param words: whether to find the times of words.
    """

    file: UploadFile
    model: str
    prompt: str | None
    form: str
    language: str
    words: bool


@asynccontextmanager
async def read(request: Request, most: int) -> AsyncIterator[Transcription]:
    """Read and check the form of a request; its file is closed after the block.

    :param most: bytes that its body may have.
    :raises ApiError: it is too large, or a field is missing, unknown or has an impossible value.
    """
    async with _form(request, most) as form:
        yield _checked(form)


@asynccontextmanager
async def _form(request: Request, most: int) -> AsyncIterator[FormData]:
    scope = {name: value for name, value in request.scope.items() if name != "app"}  # for errors as they are
    limited = Request(scope, _Limited(request, most).receive)
    try:
        form = await limited.form(max_files=1, max_fields=2 * len(_KNOWN))
    except _TooLargeError as error:
        raise ApiError(error.message, status=413, param="file") from None
    except MultiPartException as error:
        msg = f"The form cannot be read: {error.message}"
        raise ApiError(msg) from None
    try:
        yield form
    finally:
        await form.close()


def _checked(form: FormData) -> Transcription:
    if unknown := [name for name in form if name not in _KNOWN]:
        msg = f"Unrecognized request argument supplied: {unknown[0]}; this server knows {', '.join(_KNOWN)}"
        raise ApiError(msg, param=unknown[0])
    for name, values in _FIXED.items():
        for value in form.getlist(name):
            if value not in values:
                msg = f"{name} {value!r} is not available: {_REASONS[name]}; leave it out"
                raise ApiError(msg, param=name)
    file = form.get("file")
    if not isinstance(file, UploadFile):
        msg = "file is missing; upload a sound file as multipart/form-data"
        raise ApiError(msg, param="file")
    response_format = _text(form, "response_format") or "json"
    if response_format not in FORMATS:
        msg = f"response_format {response_format!r} is not available; choose from {', '.join(FORMATS)}"
        raise ApiError(msg, param="response_format")
    model = _text(form, "model")
    if not model:
        msg = "model is missing; GET /v1/models lists it"
        raise ApiError(msg, param="model")
    prompt = _text(form, "prompt") or None
    words = "word" in form.getlist(_GRANULARITIES)
    if words and response_format != "verbose_json":
        msg = f"times of words need response_format 'verbose_json', not {response_format!r}"
        raise ApiError(msg, param=_GRANULARITIES)
    language = _text(form, "language")
    return Transcription(
        file=file, model=model, prompt=prompt, form=response_format, language=language, words=words
    )


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    if not isinstance(value, str):
        msg = f"{name} must be text, is a file"
        raise ApiError(msg, param=name)
    return value


class _TooLargeError(MultiPartException):
    """The parser closes its files at this error, as at its own."""


class _Limited:
    """The body of a request, up to a size."""

    def __init__(self, request: Request, most: int) -> None:
        self._receive = request.receive
        self._most = most
        self._bytes = 0

    async def receive(self) -> Message:
        """Return the next message.

        :raises _TooLargeError: the body is too large.
        """
        message = await self._receive()
        self._bytes += len(message.get("body", b""))
        if self._bytes <= self._most:
            return message
        while message.get("more_body") and self._bytes <= _DRAINED * self._most:
            message = await self._receive()
            self._bytes += len(message.get("body", b""))
        msg = f"The upload is larger than {self._most / 2**20:g} MB, the limit of this server"
        raise _TooLargeError(msg)
