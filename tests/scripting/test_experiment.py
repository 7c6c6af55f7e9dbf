"""`Experiment`: built from a file or a dict, changed, shown, checked and planned."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import tomli

from steermoe_core import ConfigError, Experiment, PluginError, SetupError
from steermoe_core.cli.main import main
from tests.rig import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig


@pytest.fixture
def experiment(rig: Rig) -> Experiment:
    """Return the experiment of the rig's file."""
    return Experiment.from_file(rig.file)


class TestBuild:
    """Three ways to the same experiment."""

    def test_file_is_what_the_command_runs(self, rig: Rig, experiment: Experiment) -> None:
        """Name and digest are those of the run folder."""
        assert f"{experiment.name}-{experiment.digest}" == rig.path().name
        assert repr(experiment) == f"<Experiment {rig.path().name}>"

    def test_changes_of_a_file_are_flags(self, rig: Rig) -> None:
        """A text is enough for a path."""
        found = Experiment.from_file(str(rig.file), {"train.steps": 3, "metrics": [{"use": "cer"}]})
        assert found.digest in rig.path("train.steps=3", 'metrics=[{use="cer"}]').name

    def test_dict_with_a_base(
        self, rig: Rig, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its paths start there, in whatever folder Python runs; without one, in the working directory."""
        table = tomli.loads(rig.file.read_text())
        assert Experiment.from_dict(table).digest == experiment.digest
        monkeypatch.chdir("/")
        assert Experiment.from_dict(table, base=rig.folder).digest == experiment.digest
        assert Experiment.from_dict(table).digest != experiment.digest

    def test_dict_that_extends(self, rig: Rig) -> None:
        """The file's settings, with some of the dict's."""
        found = Experiment.from_dict({"extends": rig.file.name, "train": {"steps": 3}}, base=rig.folder)
        assert found.digest in rig.path("train.steps=3").name

    def test_dict_is_not_kept(self, rig: Rig) -> None:
        """What happens to it later changes nothing."""
        table = tomli.loads(rig.file.read_text())
        found = Experiment.from_dict(table)
        table["train"]["steps"] = 3
        assert found.with_settings({}).digest == found.digest in rig.path().name

    def test_settings_are_a_dict_that_builds_it_again(self, experiment: Experiment) -> None:
        """All defaults included; a copy, so that it may be changed."""
        settings = experiment.settings
        assert Experiment.from_dict(settings, base="/").digest == experiment.digest
        settings["train"]["steps"] = 99
        assert experiment.settings["train"]["steps"] == 6

    def test_nothing_heavy_is_imported(self) -> None:
        """An experiment is built and changed as fast as `steermoe check` checks it."""
        code = (
            "import sys; from steermoe_core import Experiment, run;"
            "experiment = Experiment.from_file('experiments/whisper_linear.toml', {'train.steps': 50});"
            "experiment.with_settings({'train.steps': 60}).toml();"
            "print({'torch', 'transformers', 'datasets', 'numpy'} & set(sys.modules))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
        )
        assert done.stdout == "set()\n"


class TestChange:
    """`with_settings`."""

    def test_returns_another(self, rig: Rig, experiment: Experiment) -> None:
        """Changes add up, the last one counts, and the first experiment stays what it is."""
        before = experiment.toml()
        found = experiment.with_settings({"train.steps": 3}).with_settings(
            {"train": {"steps": 4, "batch_size": 2}}
        )

        assert found.digest in rig.path("train.steps=4", "train.batch_size=2").name
        assert experiment.toml() == before

    def test_another_component_drops_the_settings_of_the_old_one(
        self, rig: Rig, experiment: Experiment
    ) -> None:
        """As with `--set`."""
        found = experiment.with_settings({"adapter.use": "none"})
        assert found.settings["adapter"] == {"use": "none"}
        assert found.digest in rig.path("adapter.use=none").name

    def test_file_is_not_read_again(self, rig: Rig, experiment: Experiment) -> None:
        """It may have changed in the meantime."""
        rig.file.unlink()
        assert experiment.with_settings({"train.steps": 3}).settings["train"]["steps"] == 3

    def test_cannot_be_assigned(self, experiment: Experiment) -> None:
        """It never changes."""
        with pytest.raises(AttributeError):
            experiment.name = "other"  # type: ignore[misc]


class TestFaults:
    """The messages of `steermoe check`, as errors."""

    @pytest.mark.parametrize(
        ("key", "value", "place"),
        [
            ("train.stepz", 3, 'the changes, train.stepz  error[E102] unknown key "stepz" in [train]'),
            ("train.steps", "3", "the changes, train.steps  error[E101] steps must be a whole number"),
            ("train.schedule", "cosin", "the changes, train.schedule  error[E104] schedule must be one of"),
            ("train.batch_size", 0, "the changes, train.batch_size  error[E301] batch_size must be"),
            ("train.warmup", 9, "the changes, train.warmup  error[E302] warmup is 9 steps, but the run has"),
        ],
    )
    def test_change(self, experiment: Experiment, key: str, value: Any, place: str) -> None:
        """Where, which code, what."""
        with pytest.raises(ConfigError) as caught:
            experiment.with_settings({key: value})

        assert str(caught.value).startswith(place)
        assert str(caught.value).endswith("\n1 error, nothing was run")
        assert [problem.code for problem in caught.value.problems] == [place.partition("[")[2][:4]]

    def test_file(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        """File, line and column: what the command prints."""
        rig.file.write_text(rig.file.read_text().replace("threads", "treads"))
        with pytest.raises(ConfigError) as caught:
            Experiment.from_file(rig.file)

        assert main(["check", str(rig.file)]) == 2
        assert capsys.readouterr().err == f"{caught.value}\n"
        assert str(caught.value).startswith("tiny.toml:")

    def test_component_that_is_not_installed(self, experiment: Experiment) -> None:
        """Its own class, with what is near."""
        with pytest.raises(PluginError, match=r'the changes, encoder.use .* no encoder named "tyni"\n'):
            experiment.with_settings({"encoder.use": "tyni"})

    def test_no_file(self) -> None:
        """A sentence."""
        with pytest.raises(ConfigError, match=r"nix.toml  error\[E001\] cannot read the file: no such file"):
            Experiment.from_file("nix.toml")


class TestShow:
    """TOML, check and plan."""

    def test_toml_is_the_experiment(self, rig: Rig, experiment: Experiment, tmp_path: Path) -> None:
        """A file that the command runs as the same run."""
        (tmp_path / "whole.toml").write_text(experiment.toml())
        assert Experiment.from_file(tmp_path / "whole.toml").digest == experiment.digest

    def test_toml_with_origins(self, rig: Rig, experiment: Experiment) -> None:
        """File and line, the changes, or the default."""
        lines = experiment.with_settings({"train.keep": 3}).toml(origins=True).splitlines()
        found = dict(
            line.split(maxsplit=1) for line in lines if line.startswith(("keep ", "steps ", "clip "))
        )
        assert found["keep"].endswith("# the changes")
        assert found["steps"].endswith("# tiny.toml:34")
        assert found["clip"].endswith("# default of steermoe")

    def test_check_imports_every_part(self, rig: Rig, experiment: Experiment) -> None:
        """As a run does first: code that cannot be imported is found before any weight is loaded."""
        experiment.check()
        rig.site.add("sick", BROKEN)
        sick = Experiment.from_file(rig.file, {"metrics": [{"use": "sick"}]})
        with pytest.raises(PluginError, match=r'^the changes: the code of metric "sick" .* cannot be used'):
            sick.check()

    def test_plan_is_that_of_the_command(
        self, rig: Rig, experiment: Experiment, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Typed."""
        plan = experiment.plan(seconds=2.0, runs=rig.runs)
        assert main(["plan", *rig.words(), "--json", "--seconds", "2"]) == 0

        assert json.loads(json.dumps(plan.as_json())) == json.loads(capsys.readouterr().out)
        assert plan.shapes.frames == (20, 12)

    def test_plan_that_is_not_possible(self, experiment: Experiment) -> None:
        """The same error as a run."""
        with pytest.raises(SetupError, match="no weights at '/nowhere'"):
            experiment.with_settings({"decoder.weights": "/nowhere"}).plan()


BROKEN = """
from steermoe_core import Component, hookimpl

@hookimpl
def steermoe_metrics():
    yield Component(
        name="sick", api=1, summary="cannot be imported", config="fake_rig:Nothing", factory="nowhere:Sick"
    )
"""


def test_type_checker_knows_the_names(tmp_path: Path) -> None:
    """What `mypy --strict` says of a script that uses them, and of one that uses them wrongly."""
    script, rules = tmp_path / "script.py", tmp_path / "pyproject.toml"
    script.write_text(SCRIPT)
    rules.write_text('[tool.mypy]\nstrict = true\nuntyped_calls_exclude = ["transformers"]\n')  # as plugins
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", rules, "--cache-dir", CACHE, script],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=280,
    )
    revealed = [line.partition('Revealed type is "')[2].rstrip('"') for line in done.stdout.splitlines()]
    assert revealed[:4] == [
        "steermoe_core.run.folder.finished.FinishedRun",
        "float | None",
        "str",
        "dict[str, float | None] | None",
    ], done.stdout + done.stderr
    assert 'script.py:8: error: Argument 1 to "run" has incompatible type "str"' in done.stdout
    assert "Found 1 error in 1 file" in done.stdout


#: Shared with the test of plugins' types: mypy reads torch and transformers once.
CACHE = ROOT / ".mypy_cache" / "plugins"
SCRIPT = """\
from steermoe_core import Experiment, FinishedRun, run

finished: FinishedRun = run(Experiment.from_file("a.toml", {"train.steps": 3}), "runs", device="cpu")
reveal_type(run(Experiment.from_dict({}).with_settings({})))
reveal_type(finished.scores["dev"].metrics["wer"].value)
reveal_type(finished.predictions("dev")[0].hypothesis)
reveal_type(finished.metrics[0].learning_rate)
run("a.toml")
"""
