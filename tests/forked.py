"""A process that has imported what commands need and runs each in a fork of itself: `python -m tests.forked`.

So a command has a process of its own, as at a terminal, without the seconds that imports take.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[1]
#: What takes long to import, and nothing that looks at a GPU or starts threads.
HEAVY = ("datasets", "deepspeed", "transformers.trainer", "steermoe_core.run.execute")


@attrs.frozen
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return what it printed with `--json`."""
        return json.loads(self.out)


@attrs.frozen
class Terminal:
    """A place where `steermoe` commands run, one after the other."""

    process: subprocess.Popen[str]
    folder: Path

    def __call__(self, *words: object) -> Done:
        """Run `steermoe WORDS…`."""
        files = [self.folder / name for name in (".out", ".err")]
        order = {"words": list(map(str, words)), "files": list(map(str, files))}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        code = self.process.stdout.readline()
        assert code, "the process that runs commands has ended"
        return Done(int(code), *(file.read_text(encoding="utf-8") for file in files))


@contextmanager
def terminal(folder: Path, environment: Mapping[str, str]) -> Iterator[Terminal]:
    """Open a terminal in a folder."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.forked"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield Terminal(process, folder)
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # with a command that hangs


def serve() -> None:
    """Run the commands that come on stdin, a line of JSON each; answer with their exit codes."""
    from importlib import import_module

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for module in HEAVY:
        import_module(module)
    for line in sys.stdin:
        order = json.loads(line)
        if not (child := os.fork()):
            _run(**order)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def _run(words: list[str], files: list[str]) -> None:
    """Run a command in this process, and end it."""
    from steermoe_core.cli.main import main

    for number, file in enumerate(files, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    code = main(words)
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    serve()
