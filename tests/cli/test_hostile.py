"""Run folders and experiment files whose every text would take over a terminal, through every command."""

from __future__ import annotations

import json
import re
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from steermoe_core.cli.main import main
from steermoe_core.system.printing import UNSAFE
from tests.run.copies import copied

if TYPE_CHECKING:
    from tests.rig import Rig

EVIL = "\x1b[2J\x07\x9b1m\u202e[/bold]"
#: What is no text for people, but looked up: its values stay.
KEPT = {
    "sha256", "metric", "kind", "format", "stop", "state", "verdict", "use", "weights", "started", "ended",
    "updated", "made", "name", "rule", "normalise",
}  # fmt: skip


def soiled(value: Any) -> Any:
    """Return a value of a JSON file with all texts that are for people made hostile."""
    if isinstance(value, dict):
        return {key: one if key in KEPT else soiled(one) for key, one in value.items()}
    if isinstance(value, list):
        return [soiled(one) for one in value]
    return f"{value}{EVIL}" if isinstance(value, str) else value


@pytest.fixture
def evil(scored: Path, rig: Rig) -> Path:
    """Return a finished run in whose files every text is hostile."""
    for path in scored.rglob("*.json*"):
        if "checkpoints" in path.parts or path.name == "adapter.json":
            continue
        lines = [path.read_text()] if path.suffix == ".json" else path.read_text().splitlines()
        path.write_text("".join(json.dumps(soiled(json.loads(line))) + "\n" for line in lines))
    for name in ("scores.json", "certificates.json"):
        for path in scored.rglob(name):
            found = json.loads(path.read_text())
            for one in found.get("certificates", []):
                one["passed"] = False
            if name == "scores.json":
                found["left_out"] = {f"bad{EVIL}": [f"clip{EVIL}"]}
                clip = f"000.wav{EVIL}"
                found["pathologies"] = {"loop": {"count": 1, "share": 0.25, "ids": [clip]}}
            path.write_text(json.dumps(found))
    card = json.loads((scored / "adapter" / "adapter.json").read_text())
    card["experiment"] += EVIL
    card["training"] |= {"steps": 3, "adapter_step": 3, "ended": EVIL}
    (scored / "adapter" / "adapter.json").write_text(json.dumps(card))
    for path in (scored / "experiment.toml", scored / "adapter" / "experiment.toml", rig.file):
        text = re.sub(r"(?m)^description.*\n", "", path.read_text())
        path.write_text(text.replace("[experiment]\n", f"[experiment]\ndescription = {json.dumps(EVIL)}\n"))
    return scored


def clean(capfd: pytest.CaptureFixture[str], *words: str, colours: bool = False) -> str:
    """Run a command, and return what it printed, in which nothing is unsafe."""
    capfd.readouterr()
    main(list(words))
    out, err = capfd.readouterr()
    text = f"{out}\n{err}"
    assert "Traceback" not in text
    bare = re.sub(r"\x1b\[[\d;]*m", "", text) if colours else text
    assert not UNSAFE & set(bare), words
    return text


FOLDER = [
    "results RUN", "results RUN OTHER", "results RUN --against OTHER", "results RUN --markdown",
    "results RUN --latex", "results RUN --json", "results RUN OTHER --differences",
    "results RUN OTHER --differences --json", "results RUN OTHER --differences --markdown",
    "report RUN --json", "report RUN OTHER --json", "report RUN --open no",
    "evaluate RUN --from-predictions --pathologies --rule raw",
    "evaluate RUN --from-predictions --pathologies --rule raw --json", "evaluate RUN --from-predictions",
    "certify RUN", "certify RUN --json", "evaluate RUN", "evaluate RUN --json", "evaluate RUN --again",
    "routing RUN --by duration", "routing RUN --json", "push RUN me/it --dry-run", "doctor --runs runs",
    "doctor --runs runs --json", "transcribe RUN CLIP", "transcribe RUN CLIP --json",
    "transcribe RUN CLIP NONE",
    "ask RUN CLIP EVIL", "ask RUN CLIP EVIL --json", "run RUN/experiment.toml", "config RUN/experiment.toml",
    "config RUN/experiment.toml --blame", "config RUN/experiment.toml --json", "check RUN/experiment.toml",
    "data RUN/experiment.toml", "data RUN/experiment.toml --json", "plan RUN/experiment.toml",
    "plan RUN/experiment.toml --json", "results NONE", "results RUN --split EVIL", "describe encoder EVIL",
    "EVIL", "list-plugins EVIL", "run RUN/experiment.toml --set EVIL=1", "sweep RUN/experiment.toml",
    "run RUN/experiment.toml --set train.steps=EVIL",
]  # fmt: skip


def test_run_folder(
    evil: Path, rig: Rig, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No command that reads it prints an unsafe character, and none ends in a traceback."""
    places = {
        "RUN": str(evil.relative_to(Path.cwd())),
        "OTHER": str(copied(evil, "other_2", experiment__name="other_2").relative_to(Path.cwd())),
        "CLIP": "dev/000.wav",
        "NONE": f"no{EVIL}where",
        "EVIL": EVIL,
    }
    names = re.compile("|".join(places))
    said = {}
    for line in FOLDER:
        words = [names.sub(lambda match: places[match[0]], word) for word in line.split()]
        said[line] = clean(capfd, *words)

    monkeypatch.setenv("FORCE_COLOR", "1")
    for line in FOLDER[:2]:
        clean(capfd, *[places.get(word, word) for word in line.split()], colours=True)
    assert (
        r"000.wav\x1b[2J\x07\x9b1m\u202e[/bold]"
        in said["evaluate RUN --from-predictions --pathologies --rule raw"]
    )
    assert r"\u001b[2J\u0007\u009b1m\u202e[/bold]" in said["report RUN --json"]
    assert (evil / "report" / "index.html").is_file()


FILES = {
    "no TOML": "[experiment]\nname = {evil}\n",
    "control characters in TOML": '[experiment]\nname = "a{evil}"\n',
    "unknown key": "[experiment]\n{quoted} = 1\n",
    "unknown component": "[encoder]\nuse = {quoted}\n",
    "wrong type": "[train]\nsteps = {quoted}\n",
    "bidi in a string": '[train]\nsteps = "\u202e\u2066"\n',
    "bidi in a comment": '[train]\nsteps = "x" # \u202e\n',
    "extends": "extends = {quoted}\n",
    "name": "[experiment]\nname = {quoted}\n",
    "split": '[data.eval.{quoted}]\nuse = "folder"\npath = {quoted}\n',
    "axis": "[sweep]\n{quoted} = [1]\n",
    "axis values": '[sweep]\n"train.steps" = [{quoted}]\n',
}  # fmt: skip


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
@pytest.mark.parametrize(
    "command", ["check", "check --json", "config --json", "run", "plan", "sweep --dry-run"]
)
def test_experiment_file(rig: Rig, content: str, command: str, capfd: pytest.CaptureFixture[str]) -> None:
    """What is wrong with it is said, the line is quoted, and nothing of it acts."""
    path = rig.folder / f"evil{EVIL.replace('/', '')}.toml"
    path.write_text(content.replace("{quoted}", json.dumps(EVIL)).replace("{evil}", EVIL), encoding="utf-8")
    name, *flags = command.split()

    clean(capfd, name, str(path), *flags)


def test_unfinished_line(rig: Rig, capfd: pytest.CaptureFixture[str]) -> None:
    """The caret stands under what is wrong, also behind an escape."""
    path = rig.folder / "evil.toml"
    path.write_text('[train]\n"\u202e" = 1\n')

    lines = clean(capfd, "check", str(path)).splitlines()

    place = next(number for number, line in enumerate(lines) if line.startswith("    2 | "))
    assert lines[place] == r'    2 | "\u202e" = 1'
    assert lines[place + 1].startswith("      | ^^^^^^^^")


def test_progress_and_notes(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Bars and spinners of a terminal, and the plain lines elsewhere."""
    from steermoe_core.run.console import Console

    for forced in (False, True):
        if forced:
            monkeypatch.setenv("FORCE_COLOR", "1")
            monkeypatch.setenv("COLUMNS", "300")
        console = Console()
        with console.progress() as progress:
            progress.update(progress.add_task(EVIL, total=2, note=EVIL), completed=2, note=EVIL)
        with console.task(EVIL):
            console.note(EVIL)
        with console.warnings():
            warnings.simplefilter("always")
            warnings.warn(EVIL, stacklevel=1)
        sys.stderr.flush()
        err = capfd.readouterr().err
        assert r"\x1b[2J\x07\x9b1m\u202e[/bold]" in err
        assert not UNSAFE & set(re.sub(r"\x1b\[\??[\d;]*[mhlKA]|\r", "", err))
