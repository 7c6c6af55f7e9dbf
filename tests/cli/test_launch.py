"""`steermoe launch` checks the experiment by itself, without the heavy libraries, and passes its words on."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.commands import command_parser, parsed
from steermoe_core.cli.launch import run
from steermoe_core.cli.main import main
from steermoe_core.cli.shared.session import Session
from steermoe_core.config.text.unset import Unset
from tests.system.test_slurm import STEP

if TYPE_CHECKING:
    from argparse import Namespace

    from conftest import Site

    from tests.rig import Rig

EXPERIMENT = """
experiment.name = "cold"
encoder.use = "light"
decoder = { use = "causal-lm", weights = "none" }
train.steps = 1
[data.train]
use = "folder"
path = "."
[data.eval.all]
use = "folder"
path = "."
"""
LOADED = """
import sys
from steermoe_core.cli.main import main
from steermoe_core.study import launch

launch.launch = lambda words, env, local: 0
code = main(sys.argv[1:])
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize("expect", [0, 1, 3, 130])
def test_passes_words_and_exit_code_on(rig: Rig, monkeypatch: pytest.MonkeyPatch, expect: int) -> None:
    """What `run` takes stands in the command of every process, what every command takes as well."""
    seen: list[list[str]] = []

    def launched(words: list[str], env: dict[str, str], *, local: bool) -> int:
        assert local
        assert env["DS_ACCELERATOR"] == "cpu"
        seen.append(words)
        return expect

    monkeypatch.setattr("steermoe_core.study.launch.launch", launched)
    words = [
        *rig.words("train.steps=9", 'experiment.name="two"'),
        "--unset",
        "metrics",
        "--set",
        "metrics.use=wer",
    ]
    assert main(["launch", "--nproc", "2", *words, "--block", "pocket", "--json", "--traceback"]) == expect

    ((*_, program, folder),) = [words[: words.index("run")] for words in seen]
    given = seen[0][seen[0].index("run") + 1 :]
    assert (program, folder) == (
        "steermoe_core.study.rank",
        str(rig.path("train.steps=9", 'experiment.name="two"', Unset("metrics"), "metrics.use=wer")),
    )
    assert given[0] == str(rig.file)
    assert given[1:3] == ["--unset", "metrics"]
    assert given[3:9:2] == ["--set"] * 3
    assert given[4:10:2] == ["train.steps=9", 'experiment.name="two"', "metrics.use=wer"]
    assert {"--runs", str(rig.runs), "--block", "pocket", "--json", "--traceback"} <= set(given)
    assert "--no-plugins" not in given


def test_neither_help_nor_the_check_imports_torch(site: Site) -> None:
    """A mistake is told in half a second, not in ten."""
    site.healthy("light")
    (site.folder / "cold.toml").write_text(EXPERIMENT)

    for words in (["launch", "--help"], ["launch", "--nproc", "2", "cold.toml"]):
        done = site.run(*words, code=LOADED)
        assert done.returncode == 0, done.stderr
        assert not {"torch", "transformers", "deepspeed"} & set(done.stderr.split())


class Replaced(Exception):  # noqa: N818 - what takes the place of a process
    """The process would be another one now."""


@pytest.mark.parametrize("flags", [[], ["--master-port", "29500"]])
def test_under_srun_the_process_becomes_a_rank(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    """Its number, that of all and where they meet are Slurm's; a flag that counts processes comes first."""
    seen: list[tuple[list[str], dict[str, str]]] = []

    def execve(program: str, words: list[str], env: dict[str, str]) -> None:
        assert program == sys.executable
        seen.append((words, env))
        raise Replaced

    monkeypatch.setattr(os, "execve", execve)
    monkeypatch.setattr("steermoe_core.study.launch.launch", lambda *_, local: 0 if local else 1)
    for name, value in STEP.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(Replaced):
        run(_arguments(["launch", *rig.words(), *flags]), Session(_arguments(["launch", *rig.words()])))

    ((words, env),) = seen
    assert words[1:6] == ["-u", "-m", "steermoe_core.study.rank", str(rig.path()), "run"]
    assert words[6] == str(rig.file)
    ranks = {name: env[name] for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")}
    port = flags[1] if flags else "25378"
    assert list(ranks.values()) == ["5", "8", "1", "gpu03", port]
    assert env["OMP_NUM_THREADS"]
    assert main(["launch", "--nproc", "2", *rig.words()]) == 0
    assert len(seen) == 1


def _arguments(words: list[str]) -> Namespace:
    return parsed(command_parser(words[0]), words[1:])
