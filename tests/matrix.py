"""What every command does with every kind of broken plugin installed, measured by running it.

``python -m tests.matrix`` prints the table; with ``--page`` the page docs/reference/quarantine.md.
"""

from __future__ import annotations

import importlib
import io
import json
import re
import shlex
import sys
import tempfile
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from steermoe_core.cli.commands import COMMANDS
from steermoe_core.cli.main import main
from tests.conftest import Site
from tests.kinds import KINDS, SLOW, Kind, healthy
from tests.parts import save_decoder
from tests.rig import EXPERIMENT, PLUGIN, Rig, files
from tests.run.copies import copied
from tests.tiny import PROMPT_WORDS, write_folder, write_wav

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Where a command that needs the plugin says that an experiment asks for it.
PLACE = re.compile(r"(odd|experiment)\.toml:")


PAGE = """\
# Behaviour with a broken plugin

This page is generated: `python -m tests.matrix --page > docs/reference/quarantine.md`. `tests/test_matrix.py`
runs every command with every kind of plugin below and fails if one behaves differently.

A plugin that cannot be used is quarantined with a reason, and none of its components are offered. Then:

* A command that does not need it behaves as if it were not installed: the same exit code, the same stdout.
  In particular, a command with `--json` prints JSON and nothing else.
* A command that needs it stops with exit code 3, the reason and the position in the experiment. It prints
  nothing on stdout and writes nothing.
* `steermoe list-plugins` shows the reason and a remedy. `steermoe doctor` shows it too, and exits with 3.

## Kinds of plugins

The status and the reason that `list-plugins` shows; for an active plugin, the finding of `doctor`.

| plugin | status | reason |
| --- | --- | --- |
{kinds}
Each plugin is examined once, in a separate process with a time limit. The result is cached in
`~/.cache/steermoe` until the plugin, the installed packages or steermoe change; `steermoe list-plugins
--refresh` and `steermoe doctor` examine all plugins again. A command imports the settings and code of
a plugin only if it needs one of its components, so errors in these may appear only then.

## Exit codes by command

The exit code of a command that does not need the plugin and, after the slash, of one that does. A command
without a slash never needs a plugin. `launch` is tested up to the start of its processes, each of which is a
`run`.
`check-plugin` reports errors in the components of an active plugin, and stops only for a broken one.

| plugin | {names} |
| --- {lines}
{matrix}"""


@attrs.frozen
class Command:
    """How a command is called, without need of the plugin `odd`, and with it.

    :param free: words behind the command; ``{run}`` is a run folder that does not need the plugin,
        ``runs/other`` another one, ``made`` an empty folder, ``sweep`` a sweep without runs.
    :param needing: words; ``{odd}`` is a run folder that does, ``{runs}`` where new run folders would go.
        None where the command never needs a plugin.
    :param builds: whether it builds the model.
    :param names: whether it is given the plugin's or the part's name, not an experiment that asks for it.
    :param shows: whether it shows what is installed, so that a plugin that works changes what it prints.
    :param writes: whether it writes into the run folder that it is given.
    """

    free: str
    needing: str | None = None
    builds: bool = False
    names: bool = False
    shows: bool = False
    writes: bool = False


#: A line of progress, which is printed after two seconds.
_PROGRESS = re.compile(r"\d+ of \d+, .*\d:\d\d( left)?$")
#: The command that runs a plugin's parts to find out what is wrong with them.
JUDGE = "check-plugin"
#: The commands that report on plugins; their own rows of `cell` say what is expected.
REPORTS = {"list-plugins": "--json", "doctor": "--json"}
CALLS = {
    "run": Command("tiny.toml --json", "odd.toml --runs {runs}", builds=True),
    "sweep": Command("tiny.toml --dry-run --json", "odd.toml --dry-run --runs {runs}", builds=True),
    "work": Command("sweep"),
    "ladder": Command("tiny.toml --dry-run --json", "odd.toml --dry-run --runs {runs}", builds=True),
    "launch": Command("--nproc 2 tiny.toml", "--nproc 2 odd.toml"),
    "data": Command("tiny.toml --json", "odd.toml", builds=True),
    "plan": Command("tiny.toml --json", "odd.toml", builds=True),
    "bench": Command("tiny.toml --roofline h100 --steps 1 --json", "odd.toml --roofline h100", builds=True),
    "check": Command("tiny.toml --json", "odd.toml"),
    "config": Command("tiny.toml --json", "odd.toml"),
    "evaluate": Command("{run} --json", "{odd} {again}", builds=True),
    "certify": Command("{run}", "{odd}", builds=True, writes=True),
    "routing": Command("{run} --json", "{odd}", builds=True, writes=True),
    "results": Command("{run} --json", "{odd}"),
    "report": Command("{run} --json", "{odd} --json"),
    "transcribe": Command("{run} hello.wav --json", "{odd} hello.wav", builds=True),
    "ask": Command("{run} hello.wav 'what is it ?' --json", "{odd} hello.wav 'what is it ?'", builds=True),
    "push": Command("{run} me/it --dry-run", "{odd} me/it --dry-run"),
    "describe": Command("adapter none --json", "encoder odd", names=True),
    "matrix": Command("adapter callback --json"),
    "schema": Command("", shows=True),
    "completion": Command("--line 'steermoe describe adapter '"),
    "check-plugin": Command("steermoe --only metric wer", "odd", names=True),
    "new-plugin": Command("fresh --kind metric --folder made"),
}


def settled(err: str) -> str:
    """Return what a command says, without progress: that depends on how long it takes."""
    return "".join(line for line in err.splitlines(keepends=True) if not _PROGRESS.search(line))


@attrs.frozen
class Done:
    """What a call left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


@attrs.define
class Cell:
    """A command beside a kind of plugin: exit codes without and with need, and what was not as promised."""

    free: int
    needing: int | None
    faults: list[str] = attrs.field(factory=list)

    def __str__(self) -> str:
        return str(self.free) if self.needing is None else f"{self.free} / {self.needing}"


@attrs.frozen
class Row:
    """A kind of plugin beside every command.

    :param reason: what the commands that report on plugins say of it.
    """

    reason: str
    cells: dict[str, Cell]


class Bench:
    """A place with a run that needs the plugin `odd` and one that does not."""

    def __init__(self, place: Path, patch: pytest.MonkeyPatch) -> None:
        self.place, self.patch = place, patch
        base = Site(place / "base")
        patch.syspath_prepend(str(base.folder))
        decoder = save_decoder(place / "decoder")
        base.add("rig", PLUGIN)
        rig = Rig(base, base.folder, decoder, place)
        for number, name in enumerate(("dev", "other")):  # nothing of them is trained on
            write_folder(
                place / name, PROMPT_WORDS[:4], [1.1 + number, 1.3 + number, 1.5 + number, 1.7 + number]
            )
        tiny = EXPERIMENT.format(decoder=decoder, steps=1)
        rig.file.write_text(tiny, encoding="utf-8")
        odd = tiny.replace('name = "tiny"', 'name = "odd"').replace('use = "tiny"', 'use = "odd"')
        (place / "odd.toml").write_text(odd, encoding="utf-8")
        write_wav(place / "hello.wav", seconds=0.8)
        (place / "sweep").mkdir()
        (place / "sweep" / "begun.json").write_text('{"code": {"versions": {}, "files": {}}, "runs": []}')
        with self.site("healthy", healthy):
            done = self.call("run", "tiny.toml odd.toml")
            assert done.code == 0, done.err
            self.runs = {name: next((place / "runs").glob(f"{name}-*")).name for name in ("tiny", "odd")}
            copied(place / "runs" / self.runs["tiny"], "other", experiment__name="other")
            self.healthy = {
                name: self.needing(name, fresh=False)
                for name in CALLS
                if CALLS[name].needing and name != JUDGE
            }
        self.without = {name: self.free(name) for name in CALLS}
        for done in [*self.healthy.values(), *self.without.values()]:
            assert done.code == 0, done

    @contextmanager
    def site(self, name: str, write: Any) -> Iterator[None]:
        """Have distributions installed inside the block; what was imported from them is forgotten after."""
        site = Site(self.place / name.replace(" ", "-"))
        write(site)
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(site.folder))
            yield
            self.forget()
        rmtree(site.folder)

    def forget(self) -> None:
        """Let the next command import the plugin anew, as a new process would."""
        for name, module in list(sys.modules.items()):
            if name.startswith("fake_") and name != "fake_rig" and str(self.place) in str(module.__file__):
                del sys.modules[name]
        importlib.invalidate_caches()

    def call(self, command: str, words: str) -> Done:
        """Run a command in this process."""
        self.forget()
        out, err = io.StringIO(), io.StringIO()
        with ExitStack() as stack:
            stack.enter_context(redirect_stdout(out))
            stack.enter_context(redirect_stderr(err))
            code = main([command, *shlex.split(words)])
        return Done(code, out.getvalue(), err.getvalue())

    def free(self, command: str) -> Done:
        """Run a command that does not need the plugin."""
        written = self.place / "made"
        written.mkdir()
        done = self.call(command, CALLS[command].free.format(run=f"runs/{self.runs['tiny']}"))
        rmtree(written)
        return done

    def needing(self, command: str, *, fresh: bool) -> Done:
        """Run a command that needs the plugin; where it might start a run, in a new folder if `fresh`."""
        odd, again = f"runs/{self.runs['odd']}", "--again" if fresh else ""
        words = str(CALLS[command].needing).format(odd=odd, again=again, runs="new" if fresh else "runs")
        return self.call(command, words)

    def row(self, kind: Kind) -> Row:
        """Run every command beside a kind of plugin."""
        with self.site(kind.name, kind.write):
            listed, found = (self.call(name, words) for name, words in REPORTS.items())
            odd = next(one for one in json.loads(listed.out)["plugins"] if one["name"] == "odd")
            said = next(
                (
                    finding
                    for finding in json.loads(found.out)["findings"]
                    if finding["code"] == kind.code and (odd["reason"] or "odd") in finding["what"]
                ),
                {"what": "", "mend": ""},
            )
            told = odd["reason"] or _told(said)
            cells = {
                "list-plugins": Cell(listed.code, None, list(_listed(listed, odd, kind))),
                "doctor": Cell(found.code, None, list(_examined(found, odd, said, kind))),
                **{name: self.cell(name, kind, told) for name in CALLS},
            }
        return Row(odd["reason"] or said["what"], {name: cells[name] for name in COMMANDS if name in cells})

    def cell(self, name: str, kind: Kind, said: str) -> Cell:
        """Run a command beside a plugin, without and with need of it, and compare with what is promised."""
        before, done = files(self.place / "runs"), self.free(name)
        cell = Cell(done.code, None)
        cell.faults += self.unmoved(name, done, kind)
        if CALLS[name].writes:
            before = files(self.place / "runs")
        if CALLS[name].needing and (kind.status == "broken" or name != JUDGE):
            checked = kind.stops == "checking" and name == "check"
            built = kind.stops in ("building", "checking") and CALLS[name].builds
            stops = kind.stops == "all" or checked or built
            done = self.needing(name, fresh=stops)
            cell.needing = done.code
            cell.faults += self.stopped(name, done, said) if stops else self.same(name, done)
            if CALLS[name].writes and not stops:
                before = files(self.place / "runs")
        if files(self.place / "runs") != before or (self.place / "new").exists():
            cell.faults.append(f"{name} wrote something")
        return cell

    def unmoved(self, name: str, done: Done, kind: Kind) -> Iterator[str]:
        """Yield what a command that does not need the plugin does otherwise than without it."""
        before, shows = self.without[name], CALLS[name].shows
        if done.code or (done.out != before.out and not (shows and kind.status == "active")):
            yield f"{name} does not do what it does without the plugin: {done}"
        if settled(done.err) != settled(before.err) and not kind.loud and not shows:
            yield f"{name} says more than without the plugin: {done.err}"

    def stopped(self, name: str, done: Done, said: str) -> Iterator[str]:
        """Yield what is wrong with a command that had to stop."""
        if (done.code, done.out) != (3, ""):
            yield f"{name} does not stop with exit code 3: {done}"
        if said not in done.err:
            yield f"{name} does not give the reason: {done.err}"
        if not CALLS[name].names and not PLACE.search(done.err):
            yield f"{name} does not say where the plugin is asked for: {done.err}"

    def same(self, name: str, done: Done) -> Iterator[str]:
        """Yield what is different from a command that uses a healthy plugin."""
        healthy = self.healthy[name]
        if (done.code, done.out) != (healthy.code, healthy.out):
            yield f"{name} does not do what it does with a healthy plugin: {done}"


def _listed(done: Done, odd: dict[str, str], kind: Kind) -> Iterator[str]:
    if done.code or odd["status"] != kind.status or (kind.status == "broken") != bool(odd["reason"]):
        yield f"list-plugins shows {odd}"


def _examined(done: Done, odd: dict[str, str], said: dict[str, str], kind: Kind) -> Iterator[str]:
    error = kind.code is not None and kind.stops != "none"
    if done.code != 3 * error or bool(said["what"]) != bool(kind.code):
        yield f"doctor ends with {done.code}: {done.out}"
    if odd["reason"] and odd["reason"] not in said["what"]:
        yield f"doctor says another reason than {odd['reason']}: {said}"


def _told(said: dict[str, str]) -> str:
    """Return the words of a finding that an error repeats: what was raised, or the command that mends it."""
    return said["what"].partition("cannot be loaded: ")[2] or said["mend"].strip("`")


@contextmanager
def bench(place: Path) -> Iterator[Bench]:
    """Make the place, with a low limit for slow imports, and processes that are not started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.delenv("STEERMOE_BLOCK", raising=False)
        patch.setenv("STEERMOE_PLUGIN_TIMEOUT", "3")
        patch.setattr("steermoe_core.plugins.plugin.SLOW", SLOW / 2)
        patch.setattr("steermoe_core.study.launch.launch", lambda *_, **__: 0)
        yield Bench(place, patch)


def printed(rows: dict[str, Row]) -> Iterator[str]:
    """Yield the lines of the table for a terminal; a cell with something wrong has an exclamation mark."""
    width = max(map(len, rows))
    names = next(iter(rows.values())).cells
    yield " " * width + "  " + "  ".join(f"{name:<6}" for name in names)
    for kind, row in rows.items():
        columns = (
            f"{cell}{'!' * bool(cell.faults)}".ljust(max(6, len(name))) for name, cell in row.cells.items()
        )
        yield f"{kind:<{width}}  {'  '.join(columns)}"


def page(rows: dict[str, Row]) -> str:
    """Return the page of documentation that holds the matrix, as Markdown."""
    names = next(iter(rows.values())).cells
    kinds = _markdown([kind.name, kind.status, _plain(rows[kind.name].reason)] for kind in KINDS)
    matrix = _markdown([name, *map(str, row.cells.values())] for name, row in rows.items())
    return PAGE.format(kinds=kinds, names=" | ".join(f"`{name}`" for name in names),
                       lines="| --- " * len(names) + "|", matrix=matrix)  # fmt: skip


def _markdown(rows: Iterable[list[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _plain(said: str) -> str:
    """Return a reason without what differs from one machine or run to the next."""
    text = re.sub(r"\(/\S*/", "(", said)
    return re.sub(r"\d+\.\d+ s", "… s", text).replace("|", "\\|") or "–"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, bench(Path(folder)) as made:
        found = {kind.name: made.row(kind) for kind in KINDS}
    wrong = [fault for row in found.values() for cell in row.cells.values() for fault in cell.faults]
    sys.stdout.write(page(found) if "--page" in sys.argv else "\n".join([*printed(found), *wrong, ""]))
    sys.exit(bool(wrong))
