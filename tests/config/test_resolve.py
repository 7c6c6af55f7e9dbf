"""From files and flags to one complete experiment."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING

import pytest
import tomli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steermoe_core.component import Selection
from steermoe_core.config.naming import quoted
from steermoe_core.config.resolve import resolve
from steermoe_core.errors import ConfigError, ExitCode, PluginError

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, text: str) -> Path:
    """Write an indented TOML text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def test_tables_become_settings_and_defaults_are_filled(minimal, registry):
    """Components carry their own settings; components that are left out are the default ones."""
    experiment = resolve(minimal, [], registry).experiment
    assert experiment.encoder.name == "whisper"
    assert experiment.encoder.config.weights == "w"
    assert experiment.train.learning_rate == {"projector": 1e-3}
    assert ([one.name for one in experiment.adapter], experiment.projector.name) == (["none"], "linear")
    assert [metric.name for metric in experiment.metrics] == ["wer"]
    assert experiment.callbacks == []
    assert experiment.data.eval["dev"].config.path == minimal.parent / "clips"


def test_the_table_is_complete_and_has_no_empty_values(minimal, registry):
    """Defaults of components too; keys without a value are absent."""
    table = resolve(minimal, [], registry).table
    assert table["projector"] == {
        "use": "linear",
        "pool": {"kind": "avg", "kernel": 4},
        "rate": 0.5,
        "widths": [],
    }
    assert table["data"]["train"] == [
        {"use": "folder", "path": str(minimal.parent / "clips"), "split": "train",
         "cache": str(minimal.parent / "cache"), "names": ["all"]}
    ]  # fmt: skip


def test_components_nest(minimal, registry):
    """A component chooses components: by table, by default, or none."""
    (adapter,) = resolve(
        minimal, ["adapter.use=steering", "adapter.router={use='topk', k=3}"], registry
    ).experiment.adapter
    assert (adapter.config.router.name, adapter.config.router.config.k, adapter.config.helper) == (
        "topk",
        3,
        None,
    )
    (adapter,) = resolve(minimal, ["adapter.use=steering"], registry).experiment.adapter
    assert isinstance(adapter.config.router, Selection)
    assert adapter.config.router.name == "softmax"


def test_use_may_be_left_out_where_a_component_is_the_default(minimal, registry):
    """`[projector]` alone means the default projector."""
    assert resolve(minimal, ["projector.hidden=3"], registry).table["projector"]["use"] == "linear"


def test_several_sources_are_an_array_of_tables(tmp_path, minimal, registry):
    """`[data.train]` is short for a list of one."""
    path = write(tmp_path / "two.toml", """
        extends = "tiny.toml"
        [[data.train]]
        use = "folder"
        path = "a"
        [[data.train]]
        use = "folder"
        path = "b"
    """)  # fmt: skip
    train = resolve(path, [], registry).experiment.data.train
    assert [source.config.path.name for source in train] == ["a", "b"]


def test_tables_merge_and_lists_replace(tmp_path, minimal, registry):
    """A chain of files: the nearest wins key by key."""
    write(tmp_path / "base" / "middle.toml", """
        extends = "../tiny.toml"
        [projector]
        widths = [1, 2]
        [train]
        steps = 20
        batch_size = 2
    """)  # fmt: skip
    top = write(tmp_path / "top.toml", """
        extends = "base/middle.toml"
        [projector]
        widths = [3]
        [train]
        steps = 30
    """)  # fmt: skip
    table = resolve(top, [], registry).table
    assert (table["train"]["steps"], table["train"]["batch_size"]) == (30, 2)
    assert table["projector"]["widths"] == [3]


def test_another_component_inherits_no_settings(tmp_path, minimal, registry):
    """The keys of the old component go with it; naming the same component keeps them."""
    write(tmp_path / "steered.toml", """
        extends = "tiny.toml"
        [adapter]
        use = "steering"
        experts = 4
        router = { use = "topk", k = 5 }
    """)  # fmt: skip
    other = write(tmp_path / "other.toml", 'extends = "steered.toml"\nadapter.router.use = "softmax"\n')
    same = write(tmp_path / "same.toml", 'extends = "steered.toml"\nadapter.router.use = "topk"\n')
    assert resolve(other, [], registry).table["adapter"]["router"] == {"use": "softmax"}
    assert resolve(other, [], registry).table["adapter"]["experts"] == 4
    assert resolve(same, [], registry).table["adapter"]["router"] == {"use": "topk", "k": 5}


def test_relative_paths_start_at_the_file_that_wrote_them(tmp_path, minimal, registry, monkeypatch):
    """And those of a flag at the working directory."""
    monkeypatch.chdir(tmp_path)
    top = write(
        tmp_path / "deep" / "top.toml",
        'extends = "../tiny.toml"\n[data.eval.more]\nuse = "folder"\npath = "x"\n',
    )
    table = resolve(top, ["data.eval.flag={use='folder', path='y'}"], registry).table["data"]
    assert table["train"][0]["path"] == str(tmp_path / "clips")
    assert table["eval"]["more"]["path"] == str(tmp_path / "deep" / "x")
    assert table["eval"]["flag"]["path"] == str(tmp_path / "y")


def test_every_value_knows_where_it_came_from(tmp_path, minimal, registry, monkeypatch):
    """Files by line, flags, and defaults by the distribution that gives them."""
    monkeypatch.chdir(tmp_path)
    top = write(tmp_path / "top.toml", 'extends = "tiny.toml"\n[encoder]\ntrim = false\n')
    resolved = resolve(top, ["train.warmup=3"], registry)
    origin = {".".join(map(str, path)): str(origin) for path, origin in resolved.origins.items()}
    assert origin["encoder.trim"] == "top.toml:3"
    assert origin["encoder.weights"] == "tiny.toml:5"
    assert origin["data.train.0.path"] == "tiny.toml:11"
    assert origin["train.warmup"] == "--set"
    assert origin["encoder.dtype"] == "default of steermoe-whisper 0.2"
    assert origin["projector.pool.kernel"] == "default of steermoe"
    assert "steps = 10                                    # tiny.toml:16\n" in resolved.blame()
    assert tomli.loads(resolved.blame()) == resolved.table


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=9)
FLAGS = {
    "train.steps": st.integers(1, 10**6),
    "train.clip": st.floats(1e-6, 1e6),
    "projector.extra": st.sampled_from(["{}", "{ kernel = 3 }"]),
    "experiment.description": TEXTS.map(quoted),
    "projector.widths": st.lists(st.integers(1, 9), max_size=3),
    "projector.rate": st.sampled_from(["0.25", "{ kind = 'max' }"]),
    "adapter": st.sampled_from(["{ use = 'steering', helper = { use = 'topk' } }", "{ use = 'none' }"]),
    "metrics": st.sampled_from(["[]", "[{use='cer'}, {use='wer'}]", "{use='cer'}"]),
    'data.eval."a.b"': st.just("{ use = 'folder', path = 'x', names = ['é', ''] }"),
    "decoder.options": st.sampled_from(["{}", "{ a = [1, { b = 'c' }], \"d e\" = 1979-05-27 }"]),
    "callbacks": st.just("[{ use = 'early-stop' }]"),
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flags=st.fixed_dictionaries({}, optional=FLAGS))
def test_a_resolved_experiment_resolves_to_itself(flags, minimal, registry, tmp_path_factory):
    """From any folder, without base files and flags: the same table and the same digest."""
    resolved = resolve(minimal, [f"{key}={value}" for key, value in flags.items()], registry)
    again = tmp_path_factory.mktemp("run") / "experiment.toml"
    again.write_text(resolved.to_toml(), encoding="utf-8")
    second = resolve(again, [], registry)
    assert second.table == resolved.table
    assert second.digest == resolved.digest
    assert second.experiment == resolved.experiment


def test_the_digest_names_the_settings_and_nothing_else(tmp_path, minimal, registry):
    """Not the file's name, order, comments, spelling of numbers, or who wrote a value."""
    digest = resolve(minimal, ["train.clip=2.0"], registry).digest
    shuffled = write(tmp_path / "other.toml", """
        # the same in another order
        train = { clip = 2, steps = 10, batch_size = 8 }
        decoder = { weights = "d", use = "causal-lm" }
        encoder = { weights = "w", use = "whisper" }
        [[data.train]]
        path = "clips"
        use = "folder"
        [data.eval.dev]
        path = "./clips"
        use = "folder"
        [experiment]
        name = "tiny"
    """)  # fmt: skip
    assert len(digest) == 8
    assert resolve(shuffled, [], registry).digest == digest
    assert resolve(minimal, ["train.clip=2.5"], registry).digest != digest


def test_the_exit_code_tells_a_plugin_from_a_file(minimal, registry):
    """3 when nothing but components is missing, 2 when the file is wrong as well."""
    with pytest.raises(PluginError) as plugin:
        resolve(minimal, ["encoder.use=beats"], registry)
    with pytest.raises(ConfigError) as both:
        resolve(minimal, ["encoder.use=beats", "train.step=1"], registry)
    assert (plugin.value.exit_code, both.value.exit_code) == (ExitCode.PLUGIN, ExitCode.USAGE)
    assert [problem.code for problem in plugin.value.problems] == ["E203"]
    assert sorted(problem.code for problem in both.value.problems) == ["E102", "E203"]


def test_a_problem_is_a_record_too(minimal, registry, monkeypatch):
    """`--json` needs the same facts as the terminal."""
    monkeypatch.chdir(minimal.parent)
    minimal.write_text(minimal.read_text().replace("steps = 10", "steps = -1"))
    with pytest.raises(ConfigError) as caught:
        resolve(minimal, [], registry)
    assert caught.value.problems[0].to_json() == {
        "code": "E301", "message": "steps must be >= 0, is -1", "path": "train.steps", "file": "tiny.toml",
        "line": 16, "column": 9, "hint": "", "notes": (),
    }  # fmt: skip


def test_windows_line_ends_and_byte_order_marks_do_not_matter(minimal, registry):
    """The same table, and lines counted alike."""
    table = resolve(minimal, [], registry).table
    minimal.write_bytes(b"\xef\xbb\xbf" + minimal.read_bytes().replace(b"\n", b"\r\n"))
    resolved = resolve(minimal, [], registry)
    assert resolved.table == table
    assert resolved.origins["train", "steps"].line == 16


def test_resolving_is_quick(minimal, registry):
    """Well under 30 ms for a usual file."""
    resolve(minimal, [], registry)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        resolve(minimal, ["train.steps=3"], registry)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.03


def test_configuration_never_imports_a_heavy_library():
    """Nor does anything that it imports."""
    code = (
        "import sys, steermoe_core.config.resolve, steermoe_core.cli.config, docs.generate.experiment;"
        "print(sorted({'torch', 'transformers', 'datasets', 'numpy'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "[]\n"
