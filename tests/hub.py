"""A stand-in for the Hugging Face hub: the few answers of its HTTP interface that push and fetch ask for.

It keeps repositories in memory, one list of commits each. The user "ada" may write to her own.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pytest

TOKEN, USER = "hf_" + "a" * 34, "ada"
Files = dict[str, bytes]


class Hub:
    """What the server keeps.

    :ivar repos: the commits of each repository: name and files.
    :ivar private: the repositories that only their owner sees.
    """

    def __init__(self) -> None:
        self.repos: dict[str, list[tuple[str, Files]]] = {}
        self.private: set[str] = set()
        self.address = ""

    def put(self, repo: str, files: Files) -> str:
        """Add a commit; return its name."""
        commits = self.repos.setdefault(repo, [])
        name = hashlib.sha1(repr((repo, len(commits), sorted(files))).encode()).hexdigest()  # noqa: S324
        commits.append((name, {**(commits[-1][1] if commits else {}), **files}))
        return name

    def files(self, repo: str) -> Files:
        """Return the newest files."""
        return self.repos[repo][-1][1]


class RefusedError(Exception):
    """An answer that is no success: status and the hub's own code."""

    def __init__(self, status: int, code: str = "", text: str = "", **more: str) -> None:
        super().__init__(text)
        self.status, self.code, self.more = status, code, more


class Handler(BaseHTTPRequestHandler):
    """One request."""

    hub: Hub

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            sent, headers = self._found(body)
            status = 200
        except RefusedError as refusal:
            status, headers = refusal.status, {"X-Error-Code": refusal.code, "X-Error-Message": str(refusal)}
            sent = json.dumps({"error": str(refusal), **refusal.more}).encode()
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(sent))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(sent)

    do_GET = do_HEAD = do_POST = _answer  # noqa: N815 - names of the base class

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _found(self, body: bytes) -> tuple[bytes, Mapping[str, str]]:
        path = self.path.partition("?")[0]
        if match := re.fullmatch(r"/(?:datasets/)?([\w.-]+/[\w.-]+)/resolve/([^/]+)/(.+)", path):
            return self._file(*match.groups())
        for pattern, call in ROUTES.items():
            if match := re.fullmatch(pattern, path):
                found = json.dumps(call(self, body, *match.groups())).encode()
                return found, {"Content-Type": "application/json"}
        raise RefusedError(404, "", f"no such address: {path}")

    def _user(self) -> str | None:
        given = self.headers.get("Authorization", "")
        if given and given != f"Bearer {TOKEN}":
            raise RefusedError(401, "", "Invalid user token")
        return USER if given else None

    def _writable(self, repo: str) -> None:
        user = self._user()
        if user is None:
            raise RefusedError(401, "", "Invalid username or password")
        if not repo.startswith(f"{user}/"):
            raise RefusedError(403, "", "You don't have the rights to create a model under this namespace")

    def _commit(self, repo: str, revision: str) -> tuple[str, Files]:
        if repo not in self.hub.repos or (repo in self.hub.private and self._user() is None):
            raise RefusedError(401 if self._user() is None else 404, "RepoNotFound", "Repository not found")
        commits = self.hub.repos[repo]
        for name, files in commits:
            if name == revision:
                return name, files
        if revision != "main":
            raise RefusedError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commits[-1] if commits else ("0" * 40, {})

    def _create(self, body: bytes) -> Any:
        asked = json.loads(body)
        repo = f"{asked.get('organization') or USER}/{asked['name']}"
        self._writable(repo)
        if repo in self.hub.repos:
            url = f"{self.hub.address}/{repo}"
            raise RefusedError(409, "", "You already created this model repo", url=url)
        self.hub.repos[repo] = []
        if asked.get("visibility") == "private" or asked.get("private"):  # the clients of 2.x and 1.x
            self.hub.private.add(repo)
        return {"url": f"{self.hub.address}/{repo}"}

    def _check_page(self, body: bytes) -> Any:
        front = json.loads(body)["content"].split("---\n")[1]
        errors = [] if isinstance(yaml.safe_load(front), dict) else [{"message": "no table"}]
        return {"errors": errors, "warnings": []}

    def _modes(self, body: bytes, repo: str, _revision: str) -> Any:
        self._writable(repo)
        files = json.loads(body)["files"]
        return {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]}

    def _take(self, body: bytes, repo: str, _revision: str) -> Any:
        self._writable(repo)
        entries = [json.loads(line) for line in body.splitlines()]
        values = [entry["value"] for entry in entries if entry["key"] == "file"]
        name = self.hub.put(repo, {v["path"]: base64.b64decode(v["content"]) for v in values})
        return {"commitUrl": f"{self.hub.address}/{repo}/commit/{name}", "commitOid": name}

    def _info(self, _: bytes, repo: str, revision: str | None) -> Any:
        name, files = self._commit(repo, revision or "main")
        return {"id": repo, "sha": name, "siblings": [{"rfilename": file} for file in files]}

    def _tree(self, _: bytes, repo: str, revision: str) -> Any:
        _, files = self._commit(repo, revision)
        return [
            {"type": "file", "path": file, "size": len(content), "oid": _tag(content)}
            for file, content in files.items()
        ]

    def _file(self, repo: str, revision: str, file: str) -> tuple[bytes, Mapping[str, str]]:
        name, files = self._commit(repo, revision)
        if file not in files:
            raise RefusedError(404, "EntryNotFound", "Entry not found")
        return files[file], {"ETag": f'"{_tag(files[file])}"', "X-Repo-Commit": name}


def _tag(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()  # noqa: S324 - as git does


_REPO = r"/api/(?:models|datasets)/([\w.-]+/[\w.-]+)"
ROUTES: dict[str, Any] = {
    r"/api/repos/create": Handler._create,
    r"/api/validate-yaml": Handler._check_page,
    rf"{_REPO}/preupload/(\w+)": Handler._modes,
    rf"{_REPO}/commit/(\w+)": Handler._take,
    rf"{_REPO}/tree/([\w.-]+)": Handler._tree,
    rf"{_REPO}(?:/revision/([\w.-]+))?": Handler._info,
}


@contextmanager
def serving() -> Iterator[Hub]:
    """Serve an empty hub on this machine."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def logged_in(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[Hub]:
    """Serve an empty hub, and let the hub's client in this process talk to it as "ada"."""
    from huggingface_hub import constants

    with serving() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        template = f"{hub.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield hub
