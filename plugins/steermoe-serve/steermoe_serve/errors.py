"""Errors as the OpenAI API reports them."""

from __future__ import annotations

from starlette.responses import JSONResponse

#: The first status that is the server's fault.
_SERVER = 500


class ApiError(Exception):
    """A request that gets an error.

    :param param: the field that is wrong, if it is one.
    :param code: short name of the error for programs, if the API has one.
    """

    def __init__(
        self, message: str, status: int = 400, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code

    def response(self) -> JSONResponse:
        """Return it as clients of the API read it."""
        kind = "server_error" if self.status >= _SERVER else "invalid_request_error"
        error = {"message": str(self), "type": kind, "param": self.param, "code": self.code}
        headers = {"Retry-After": "1"} if self.status == 503 else {}  # noqa: PLR2004 - too busy
        return JSONResponse({"error": error}, status_code=self.status, headers=headers)
