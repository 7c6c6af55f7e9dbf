"""A place where commands run in seconds: the shipped experiments, made small, on random weights.

A plugin stands in for steermoe-pocket and offers parts of the same names. So the commands run as they are
written: only files in `experiments/base` are made small while a heavy command runs.
"""

from __future__ import annotations

import io
import os
import shlex
import shutil
import subprocess
import sys
import warnings
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from glob import glob
from typing import TYPE_CHECKING

import tomli
from safetensors.torch import load_file, save_file

from steermoe_core.cli.main import main
from steermoe_core.config.text.write import dumps
from tests.conftest import Site
from tests.docs.pages import ROOT
from tests.parts import save_whisper
from tests.tiny import write_folder, write_wav

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pytest

BASH = shutil.which("bash") or "bash"
#: Commands that load models.
HEAVY = frozenset(
    {
        "run",
        "sweep",
        "ladder",
        "launch",
        "data",
        "plan",
        "bench",
        "evaluate",
        "certify",
        "routing",
        "transcribe",
        "ask",
        "leaderboard",
    }
)

#: Files that shipped experiments extend.
BASES = ("pocket", "recogniser")

STAND_IN = """
from pathlib import Path

import attrs

from steermoe_core import Component, hookimpl

HERE = Path({here!r})

@hookimpl
def steermoe_weights():
    factories = {{"whisper-tiny.en": "tiny", "whisper-base": "base", "smollm2-135m-instruct": "decoder"}}
    for name, factory in factories.items():
        yield Component(
            name=f"pocket/{{name}}", api=1, summary="random", config="steermoe_pocket.config:WeightsConfig",
            factory=f"stand_in:{{factory}}",
        )
    yield Component(
        name="pocket/asr", api=1, summary="hardly trained", factory="stand_in:asr",
        config="steermoe_pocket.config:WeightsConfig",
    )

@hookimpl
def steermoe_datasets():
    yield Component(
        name="pocket-speech", api=1, summary="tones", config="steermoe_pocket.config:SpeechConfig",
        factory="stand_in:speech",
    )

def tiny(config):
    return HERE / "tiny"

def base(config):
    return HERE / "base"

def decoder(config):
    return HERE / "decoder"

def asr(config):
    return HERE / "asr"

def speech(config):
    from steermoe_core.data.config import FolderConfig
    from steermoe_core.data.sources.folder import read_folder

    settings = attrs.asdict(config)  # of all that the real one reads, tones have only parts
    found = read_folder(FolderConfig(path=HERE / "speech", parts={{"test": 0.3}}))
    return [example for example in found if settings["split"] in ("all", example.split)]
"""


class Lab:
    """A working directory with a copy of the experiments, two sound files, one of them long, and the plugin.

    :param parts: folder of the random weights and speech, made by `make_parts`.
    """

    def __init__(self, place: Path, parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place = place
        self.parts = parts
        self.monkeypatch = monkeypatch
        self.code = 0
        self.servers: list[subprocess.Popen[str]] = []
        shutil.copytree(ROOT / "experiments", place / "experiments")
        write_wav(place / "hello.wav", seconds=0.8)
        write_wav(place / "talk.flac", seconds=35.0)
        monkeypatch.chdir(place)
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.delenv("STEERMOE_BLOCK", raising=False)

    def run(self, words: str) -> str:
        """Run a line of a console and return what it printed; the exit code is kept in `code`."""
        if words == "echo $?":
            return str(self.code)
        program, *arguments = [path for word in shlex.split(words) for path in _expanded(word)]
        if arguments[-1:] == ["&"]:
            return self._background(arguments[:-1])
        if program == "steermoe":
            return self._steermoe(arguments)
        if program == "pytest":
            words = f"{sys.executable} -m {words}"
        done = subprocess.run(
            [BASH, "-c", words],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},  # what was installed here
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        self.code = done.returncode
        return done.stdout + done.stderr

    def _background(self, arguments: Sequence[str]) -> str:
        """Start a server, and return what it prints until it has an address."""
        words = [sys.executable, "-m", "steermoe_core", *arguments]
        with self.heavy():
            server = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.servers.append(server)
        assert server.stdout is not None
        printed = ""
        while "http" not in printed and server.poll() is None:
            printed += server.stdout.readline()
        return printed

    def stop(self) -> None:
        """End the servers."""
        for server in self.servers:
            server.terminate()
            server.communicate(timeout=60)

    def python(self, code: str, place: str) -> None:
        """Run a block of Python in this process."""
        with self.heavy():
            exec(compile(code, place, "exec"), {"__name__": "__main__"})  # noqa: S102 - that is what is tested

    def write(self, path: str, text: str) -> None:
        """Write a file that a page shows, and the sounds that a table of it names."""
        file = self.place / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        if file.suffix == ".csv":
            sounds = file.parent if file.name == "metadata.csv" else file.parent / "audio_files"
            for number, row in enumerate(text.splitlines()[1:]):
                write_wav(sounds / row.partition(",")[0], hertz=200.0 + 50.0 * number)

    def install(self, folder: str) -> None:
        """Do what `pip install -e` does to `sys.path` and to the list of plugins."""
        project = tomli.loads((self.place / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        points = "".join(f"{name} = {value}\n" for name, value in project["entry-points"]["steermoe"].items())
        requires = project.get("dependencies", ())
        Site(self.place / folder).info(project["name"], project["version"], f"[steermoe]\n{points}", requires)
        self.monkeypatch.syspath_prepend(str(self.place / folder))

    @contextmanager
    def heavy(self) -> Iterator[None]:
        """Make the experiments small and let the stand-in take the pocket lab's place."""
        bases = [self.place / "experiments" / "base" / f"{name}.toml" for name in BASES]
        whole = {base: base.read_text(encoding="utf-8") for base in bases}
        for base, text in whole.items():
            base.with_name(f"whole_{base.name}").write_text(text, encoding="utf-8")
            base.write_text(_small(base.name, tomli.loads(text)), encoding="utf-8")
        with self.monkeypatch.context() as patch:
            patch.syspath_prepend(str(self.parts / "site"))
            patch.setenv("STEERMOE_BLOCK", "pocket")
            patch.setenv("PYTHONPATH", os.pathsep.join([str(self.parts / "site"), str(ROOT)]))
            yield
        for base, text in whole.items():
            base.write_text(text, encoding="utf-8")

    def _steermoe(self, arguments: list[str]) -> str:
        printed = io.StringIO()
        with ExitStack() as stack:
            if arguments[-2:-1] == ["<"]:
                *arguments, _, file = arguments
                patch = stack.enter_context(self.monkeypatch.context())
                patch.setattr(sys, "stdin", stack.enter_context(open(file, encoding="utf-8")))  # noqa: PTH123
            stack.enter_context(redirect_stdout(printed))
            stack.enter_context(redirect_stderr(printed))
            if HEAVY & set(arguments):
                stack.enter_context(self.heavy())
            if "launch" in arguments:
                patch = stack.enter_context(self.monkeypatch.context())
                patch.setattr("steermoe_core.study.launch.launch", _in_this_process)
            self.code = main(arguments)
        return printed.getvalue()


def make_parts(folder: Path) -> None:
    """Write two Whispers, a language model, speech, and the distribution of the stand-in plugin."""
    save_whisper(folder / "tiny")
    shutil.copytree(folder / "tiny", folder / "base")
    weights = folder / "base" / "model.safetensors"
    save_file({key: value + 0.01 for key, value in load_file(weights).items()}, weights, {"format": "pt"})
    _save_decoder(folder / "decoder")
    write_folder(folder / "speech")
    site = Site(folder / "site")
    site.add("stand-in", STAND_IN.format(here=str(folder)), module="stand_in")


def _small(name: str, experiment: dict) -> str:
    """Return a file that extends the real one, with as many steps as it takes to see it work."""
    small = {
        "train": {"steps": 3, "warmup": 0, "batch_size": 4, "threads": 1, "log_every": 1, "device": "cpu"},
        "evaluate": {"max_new_tokens": 4},
    }
    if experiment["projector"].get("start_steps"):
        small["projector"] = {"start_steps": 2}
    if "head" in experiment["projector"]:
        small["projector"] = {"width": 8, "head": {"start_steps": 2}}
    return f'extends = "whole_{name}"\n{dumps(small)}'


def _save_decoder(folder: Path) -> None:
    """Write a random Llama that reads bytes, so that any text of any experiment has tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["</s>", *alphabet])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    config = LlamaConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=len(vocabulary), max_position_embeddings=8192, bos_token_id=None,
        eos_token_id=0, tie_word_embeddings=True,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>").save_pretrained(folder)  # noqa: S106


def _in_this_process(words: Sequence[str], env: Mapping[str, str], *, local: bool) -> int:
    """Do what each process of a launched run does, once; `tests/study/test_launch.py` starts several."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # of what DeepSpeed imports
        return main(words[words.index("steermoe_core.study.rank") + 2 :])


def _expanded(word: str) -> list[str]:
    return sorted(glob(word)) or [word] if "*" in word else [word]  # noqa: PTH207 - as a shell would write them
