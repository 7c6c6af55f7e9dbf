"""A web server that answers requests for ranges, as those of data sets do."""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator


@attrs.define
class Web:
    """A folder on the web.

    :ivar sent: the bytes that were sent of each file.
    """

    url: str
    sent: dict[str, int] = attrs.field(factory=dict)


class _Handler(SimpleHTTPRequestHandler):
    """Sends a whole file or a range of it; a file called `broken` is an error of the server."""

    protocol_version = "HTTP/1.1"

    def __init__(self, web: Web, *args: Any, **kwargs: Any) -> None:
        self.web = web
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        file = Path(self.translate_path(self.path))
        if not file.is_file():
            self.send_error(500 if file.name == "broken" else 404)
            return
        data = file.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        first, last = map(int, asked.groups()) if asked else (0, len(data) - 1)
        part = data[first : last + 1]
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.end_headers()
        if body:
            self.web.sent[file.name] = self.web.sent.get(file.name, 0) + len(part)
            self.wfile.write(part)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[Web]:
    """Serve a folder inside the block."""
    web = Web("")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, web, directory=str(folder)))
    web.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
