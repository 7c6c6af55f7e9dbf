"""`steermoe new-plugin`: what it writes installs, is found, keeps its promises, is clean and trains.

Where it cannot write all of it, nothing is written.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest
import tomli
import yaml
from safetensors.torch import load_file

from steermoe_core.cli.main import main
from steermoe_core.component import COMMAND, KINDS, OUTSIDE
from steermoe_core.plugins import load_registry
from steermoe_core.scaffold.names import LONGEST, Names
from steermoe_core.scaffold.templates import check, distribution
from steermoe_core.scaffold.write import requirement
from steermoe_core.testing.tables import chosen_table, structured
from tests.rig import metrics, status
from tests.tiny import write_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Site

    from tests.rig import Rig

ROOT = Path(__file__).parents[2]


@attrs.frozen
class Made:
    """A plugin of each kind and one with a command, written by the command.

    :param sources: the folder with the distributions.
    :param site: the folder that pip installed them to.
    """

    sources: Path
    site: Path

    @property
    def folders(self) -> list[Path]:
        """The distributions."""
        return sorted(self.sources.glob("steermoe-*"))

    def python(self, *words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a module of Python in a fresh interpreter that sees what is installed."""
        paths = {"PYTHONPATH": f"{self.site}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [sys.executable, "-m", *map(str, words)],
            env={**os.environ, **paths, **environment},
            cwd=self.sources,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Write a plugin of each kind and install all with one pip."""
    found = Made(tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("site"))
    for kind in (*KINDS, COMMAND):
        assert main(["new-plugin", f"my-{kind}", "--kind", kind, "--folder", str(found.sources)]) == 0
    flags = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", found.site]
    done = found.python("pip", "install", *flags, *found.folders)
    assert done.returncode == 0, done.stderr
    return found


@pytest.fixture
def inside(made: Made, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this process see what is installed, and forget it after."""
    monkeypatch.syspath_prepend(str(made.site))
    yield
    for name in [name for name in sys.modules if name.startswith("steermoe_my_")]:
        del sys.modules[name]


def write(*words: str) -> int:
    """Run the command with an encoder unless something else is asked for."""
    return main(["new-plugin", *words, *(() if "--kind" in words else ("--kind", "encoder"))])


class TestWhatIsWritten:
    """A plugin of each kind, each a distribution that an author can push as it is."""

    def test_all_kinds_are_listed(self, made: Made) -> None:
        """Each is active, cheap to import, and offers one component of its kind."""
        done = made.python("steermoe_core", "list-plugins", "--json")

        plugins = {plugin["name"]: plugin for plugin in json.loads(done.stdout)["plugins"]}
        for kind in KINDS:
            plugin = plugins[f"my-{kind}"]
            assert (plugin["status"], plugin["heavy_imports"], plugin["distribution"]) == (
                "active",
                [],
                f"steermoe-my-{kind}",
            )
            assert [(part["kind"], part["name"]) for part in plugin["components"]] == [(kind, f"my-{kind}")]

    def test_their_own_tests_pass(self, made: Made, tmp_path: Path) -> None:
        """The conformance suite of the kind, and a test of what the example does."""
        tests = [folder / "tests" for folder in made.folders]
        flags = ["-q", "--import-mode=importlib", "-p", "no:cacheprovider", "-W", "error"]

        done = made.python("pytest", *flags, *tests, STEERMOE_CACHE=str(tmp_path))

        assert done.returncode == 0, done.stdout[-6000:]

    @pytest.mark.usefixtures("inside")
    def test_all_together_train(self, rig: Rig, own_cache: Path) -> None:
        """One run takes a part from each of the ten, and each leaves its trace in it."""
        for split in ("train", "dev", "other"):
            speak(rig.folder / split)

        run = rig.run(
            'encoder={use="my-encoder", bands=12}',
            'adapter={use="my-adapter", experts=2, router={use="my-router"}}',
            'projector={use="my-projector", stride=5}',
            'decoder={use="my-decoder", weights="my-weights"}',
            'collator={use="my-collator"}',
            'metrics=[{use="my-metric"}]',
            'augment=[{use="my-augmentation", gaps=2}]',
            'callbacks=[{use="my-callback", every=2}]',
            *(f'data.{split}={{use="my-dataset", path="{name}"}}' for split, name in SPLITS.items()),
        )

        assert status(run)["state"] == "finished"
        tensors = load_file(run / "adapter" / "adapter.safetensors")
        assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
            "adapter.gains": (3, 2, 12),
            "adapter.router.keys": (3, 2, 12),
            "projector.convolution.weight": (64, 12, 9),
            "projector.convolution.bias": (64,),
        }
        ratios = {line["step"]: line["update_ratio"] for line in metrics(run) if "update_ratio" in line}
        assert list(ratios) == [2, 4, 6]
        assert all(0 < ratio < 1 for step in ratios.values() for ratio in step.values())
        scores = json.loads((run / "evaluations" / "dev" / "scores.json").read_text())
        assert list(scores["metrics"]) == ["my-metric"]

    @pytest.mark.usefixtures("inside")
    @pytest.mark.parametrize("kind", ["metric", "dataset"])
    def test_the_next_commands_work(self, kind: str, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """The README's check passes, once what it names is there."""
        speak(write_folder(rig.folder / "speech" / "train"))

        assert main(check(Names(kind, f"my-{kind}")).split()[1:]) == 0
        assert " 0 failed" in capsys.readouterr().out

    def test_ruff_finds_nothing(self, made: Made) -> None:
        """Under its own rules and the engine's; a parent rules arguments, a launcher its command."""
        for flags in ([], ["--config", str(ROOT / "pyproject.toml"), "--extend-ignore", "ARG,S603"]):
            for folder in made.folders:
                clean(folder, *flags)

    @pytest.mark.parametrize("name", ["x", "a" * LONGEST, "a-" * 14 + "bc", "core2", "torch", "zebra-9"])
    def test_code_is_clean_whatever_the_name(self, name: str, tmp_path: Path) -> None:
        """Long names break no line, and imports are sorted for all."""
        for kind in (*KINDS, COMMAND):
            for path, text in distribution(Names(kind, name), requirement()).items():
                file = tmp_path / kind / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            clean(tmp_path / kind)

    def test_mypy_finds_nothing(self, made: Made) -> None:
        """Under the plugin's own settings; the engine is found where it is installed, editable or not."""
        packages = [folder / folder.name.replace("-", "_") for folder in made.folders]
        rules, cache = made.folders[0] / "pyproject.toml", ROOT / ".mypy_cache" / "plugins"

        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--config-file", rules, "--cache-dir", cache, *packages],
            env={name: value for name, value in os.environ.items() if name != "MYPYPATH"},
            cwd=made.sources,
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.stdout == "Success: no issues found in 38 source files\n", done.stdout + done.stderr

    def test_metadata(self, made: Made) -> None:
        """The keyword that plugins are found by, a licence, and an engine that still speaks this contract."""
        for folder in made.folders:
            project = tomli.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
            assert project["keywords"] == ["steermoe-plugin"]
            assert project["dependencies"] == [requirement()]
            assert "test" in project["optional-dependencies"]
            assert (folder / "LICENSE").is_file()
            assert (folder / ".gitignore").is_file()

    def test_checks_for_each_push(self, made: Made) -> None:
        """The workflow is YAML, and tries every Python that there is, as text: 3.10 is no number."""
        for folder in made.folders:
            workflow = yaml.safe_load((folder / ".github/workflows/test.yml").read_text(encoding="utf-8"))
            job = workflow["jobs"]["test"]
            assert job["strategy"]["matrix"]["python"] == ["3.10", "3.11", "3.12", "3.13"]
            assert job["steps"][1]["with"]["python-version"] == "${{ matrix.python }}"

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in OUTSIDE])
    @pytest.mark.usefixtures("inside")
    def test_the_readme_says_how_to_use_it(self, kind: str, made: Made) -> None:
        """Its TOML is accepted as an experiment's."""
        readme = (made.sources / f"steermoe-my-{kind}" / "README.md").read_text(encoding="utf-8")
        table = chosen_table(readme.partition("```toml\n")[2].partition("```")[0], kind)

        selection = structured(load_registry(), kind, table)

        assert selection.name == f"my-{kind}"
        assert set(table) > {"use"}

    def test_it_says_what_comes_next(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Commands that fit the folder."""
        monkeypatch.chdir(tmp_path)

        assert write("beats") == 0

        assert capsys.readouterr().out.splitlines()[2:] == [
            '  pip install -e "steermoe-beats[test]"',
            "  steermoe list-plugins",
            "  steermoe check-plugin steermoe-beats",
            "  pytest steermoe-beats",
        ]
        assert [path.name for path in tmp_path.iterdir()] == ["steermoe-beats"]
        assert not (tmp_path / "steermoe-beats").stat().st_mode & 0o077 ^ 0o055 & ~umask()

    @pytest.mark.parametrize("kind", [*KINDS, COMMAND])
    def test_the_page_says_what_is_written(self, kind: str) -> None:
        """In its table of kinds."""
        page = (ROOT / "docs" / "how-to" / "write-a-plugin.md").read_text(encoding="utf-8")
        project = tomli.loads(distribution(Names(kind, "x"), "steermoe")["pyproject.toml"])["project"]

        assert f"| `{kind}` | {project['description'].partition(': ')[2]} |" in page

    def test_nothing_heavy_is_imported(self, tmp_path: Path) -> None:
        """It answers as fast as the commands that look things up."""
        code = (
            "import sys; from steermoe_core.cli.main import main;"
            f"main(['new-plugin', 'beats', '--kind', 'encoder', '--folder', {str(tmp_path)!r}]);"
            "print({'torch', 'transformers', 'numpy'} & set(sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "set()"


class TestNothingIsWritten:
    """A command that cannot do all does nothing, and says why in a sentence."""

    @pytest.fixture(autouse=True)
    def _here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place = tmp_path / "here"
        self.place.mkdir()
        monkeypatch.chdir(self.place)

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["My-Encoder"], '"My-Encoder" cannot be a plugin\'s name; take small letters'),
            (["my_encoder"], "such as my-encoder"),
            (["9lives"], "a letter first"),
            (["../up"], "cannot be a plugin's name"),
            (["a" * (LONGEST + 1)], f"{LONGEST} characters at most"),
            (["steermoe-beats"], 'goes without "steermoe-", which is put in front of it; say beats'),
            (["x", "--kind", "encodr"], 'there is no kind "encodr"; did you mean "encoder"?'),
            (["wer", "--kind", "metric"], 'the name "wer" is taken by the metric "wer" of steermoe'),
            (["whisper"], 'is taken by the encoder "whisper" of steermoe-whisper'),
            (["whisper", "--kind", "metric"], 'is taken by the plugin "whisper" of steermoe-whisper'),
            (["core"], "is taken by the package steermoe_core"),
            (["x", "--folder", "nowhere"], "nowhere is no folder; make it first"),
        ],
    )
    def test_mistakes(self, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
        """Exit code 2."""
        assert write(*words) == 2
        error = capsys.readouterr().err
        assert sentence in error
        assert error.count("\n") == 1
        assert list(self.place.iterdir()) == []

    def test_a_name_that_a_broken_plugin_has(self, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
        """It would clash as soon as that one is repaired."""
        site.add("beats", "raise ValueError")

        assert write("beats") == 2
        assert 'is taken by the plugin "beats" of steermoe-beats 1.0' in capsys.readouterr().err

    def test_a_distribution_that_is_no_plugin(self, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
        """Pip would take one for the other."""
        site.info("steermoe-beats", "1.0", "")

        assert write("beats") == 2
        assert "is taken by the distribution steermoe-beats" in capsys.readouterr().err

    def test_a_folder_that_is_there(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Even an empty one is left as it is."""
        (self.place / "steermoe-beats").mkdir()

        assert write("beats") == 2
        assert "steermoe-beats is there already; move it away" in capsys.readouterr().err
        assert [path.name for path in self.place.rglob("*")] == ["steermoe-beats"]

    def test_a_full_disk(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """Half a plugin is no plugin."""
        whole = Path.write_text

        def full(path: Path, text: str, **named: str) -> int:
            if path.name == "README.md":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return whole(path, text, **named)

        monkeypatch.setattr(Path, "write_text", full)

        assert write("beats") == 4
        assert "steermoe-beats cannot be written (No space left on device)" in capsys.readouterr().err
        assert list(self.place.iterdir()) == []


SPLITS = {"train": "train", "eval.dev": "dev", "eval.other": "other"}


def speak(folder: Path) -> None:
    """Write the text of each clip of an audiofolder beside it, as the new dataset reads it."""
    for line in (folder / "metadata.csv").read_text(encoding="utf-8").splitlines()[1:]:
        name, text = line.split(",")
        (folder / name).with_suffix(".txt").write_text(text, encoding="utf-8")


def clean(folder: Path, *flags: str) -> None:
    """Lint a plugin, and check how it is formatted."""
    for words in (["check"], ["format", "--check"]):
        more = flags if words == ["check"] else flags[:2]
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--no-cache", *more, "."],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def umask() -> int:
    """Return the permissions that new files don't get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
