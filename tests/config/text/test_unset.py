"""`unset = […]` and `--unset`: what is dropped, what takes its place, and what cannot be dropped."""

from __future__ import annotations

import pytest

from steermoe_core.config.resolve import resolve
from steermoe_core.config.sweep import resolve_sweep
from steermoe_core.config.text.unset import Unset
from steermoe_core.errors import ConfigError

MORE = """
[train]
batch_size = 3
[adapter]
use = "steering"
experts = 4
[data.eval.other]
use = "folder"
path = "more"
[[metrics]]
use = "cer"
"""


@pytest.fixture
def base(minimal):
    """Return a file between the smallest experiment and another, with more of everything."""
    path = minimal.with_name("base.toml")
    path.write_text(f'extends = "tiny.toml"\n{MORE}')
    return path


def extending(base, text):
    """Return a file that extends the base."""
    path = base.with_name("top.toml")
    path.write_text(f'extends = "base.toml"\n{text}')
    return path


def problems(path, registry, *flags):
    """Return place and message of each problem of a file."""
    with pytest.raises(ConfigError) as caught:
        resolve(path, flags, registry)
    return [(one.code, one.line, one.column, one.message, one.hint) for one in caught.value.problems]


def test_keys_and_tables_of_any_extended_file(base, registry):
    """A key has its default again, a table is gone, a component's table is that of the default component."""
    keys = '"train.batch_size", "data.eval.dev", "adapter", "metrics"'
    found = resolve(extending(base, f"unset = [{keys}]\n"), [], registry)

    assert found.table["train"]["batch_size"] == 8
    assert list(found.table["data"]["eval"]) == ["other"]
    assert found.table["adapter"] == {"use": "none"}
    assert [metric["use"] for metric in found.table["metrics"]] == ["wer"]


def test_the_origin_of_what_is_dropped_is_its_default(base, registry):
    """As `--blame` prints it; what the file sets itself is the file's."""
    text = 'unset = ["train.batch_size", "data.eval"]\n[data.eval.dev]\nuse = "folder"\npath = "mine"\n'
    found = resolve(extending(base, text), [], registry)

    assert str(found.origins["train", "batch_size"]) == "default of steermoe"
    assert found.origins["data", "eval", "dev", "path"].line == 5
    assert list(found.table["data"]["eval"]) == ["dev"]
    assert "unset" not in found.to_toml()


def test_each_file_drops_what_it_extends(base, registry):
    """What a file in between drops, the next one can set."""
    base.write_text('extends = "tiny.toml"\nunset = ["train.steps"]\n')
    top = extending(base, "[train]\nsteps = 4\n")

    assert resolve(top, [], registry).table["train"]["steps"] == 4
    assert [code for code, *_ in problems(base, registry)] == ["E103"]


def test_an_axis_of_a_sweep(base, registry):
    """The table [sweep] is a table like others."""
    base.write_text('extends = "tiny.toml"\n[sweep]\n"train.steps" = [1, 2]\n"train.batch_size" = [3, 4]\n')
    top = extending(base, "unset = ['sweep.\"train.steps\"']\n")

    assert [cell.settings for cell in resolve_sweep(top, [], registry)] == [
        {"train.batch_size": 3},
        {"train.batch_size": 4},
    ]


@pytest.mark.parametrize(
    ("entry", "code", "message", "hint"),
    [
        ('"train.batch_sizes"', "E008", "nothing to unset: the extended files set no train.batch_sizes",
         'did you mean "train.batch_size"?'),
        ('"train.warmup"', "E008", "nothing to unset: the extended files set no train.warmup", ""),
        ('"data.eval.othr"', "E008", "nothing to unset: the extended files set no data.eval.othr",
         'did you mean "data.eval.other"?'),
        ('"metrics.0"', "E006", "metrics is a list, which is inherited as a whole",
         "drop metrics, or set it again"),
        ('"train..steps"', "E006", '"train..steps" is not a key', "for example train.steps"),
        ("3", "E101", "entry 1 of unset must be text, is the number 3", ""),
    ],
)  # fmt: skip
def test_what_cannot_be_dropped(entry, code, message, hint, base, registry):
    """The problem is at the entry."""
    (found,) = problems(extending(base, f"unset = [{entry}]\n"), registry)
    assert found == (code, 2, 10, message, hint)


def test_a_text_is_no_list(base, registry):
    """The hint is the list."""
    (found,) = problems(extending(base, 'unset = "train.steps"\n'), registry)
    assert found == ("E101", 2, 9, 'unset must be a list, is the text "train.steps"', 'write ["train.steps"]')


def test_a_file_that_extends_none_inherits_nothing(minimal, registry):
    """It would drop nothing."""
    minimal.write_text(f'unset = ["train.steps"]\n{minimal.read_text()}')
    ((code, line, *_),) = problems(minimal, registry)
    assert (code, line) == ("E008", 1)


class TestFlag:
    """`--unset KEY`."""

    def test_acts_before_every_other_flag(self, base, registry):
        """Whatever their order."""
        flags = ["train.epochs=2", Unset("train.steps"), "data.eval.dev.path=mine", Unset("data.eval")]
        found = resolve(base, [*flags, "data.eval.dev.use=folder"], registry)

        assert (found.experiment.train.steps, found.experiment.train.epochs) == (None, 2.0)
        assert list(found.table["data"]["eval"]) == ["dev"]

    def test_also_drops_what_the_file_sets_itself(self, minimal, registry):
        """It acts on the whole file."""
        assert resolve(minimal, [Unset("experiment.name"), "experiment.name=b"], registry)

    def test_nothing_to_drop(self, minimal, registry):
        """The problem is at the flag."""
        ((code, line, column, message, hint),) = problems(minimal, registry, Unset("train.stepz"))
        assert (code, line, column) == ("E008", None, 9)
        assert message == "nothing to unset: the experiment file sets no train.stepz"
        assert hint == 'did you mean "train.steps"?'
