"""Dicts and changes from Python: the values of TOML and what is like them, and a message for all others."""

from __future__ import annotations

import datetime as dt
from enum import Enum
from pathlib import Path, PurePosixPath

import attrs
import numpy as np
import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from steermoe_core.config.resolve import compose, resolve
from steermoe_core.config.text.given import DICT, changes_of, given_layers
from steermoe_core.config.text.layers import open_layers
from steermoe_core.errors import ConfigError, PluginError

_WHOLE = st.integers(-(2**63), 2**63 - 1)
_TIMES = st.datetimes().map(lambda time: time.replace(fold=0)) | st.dates()
_SCALARS = st.booleans() | _WHOLE | st.floats(allow_nan=False) | st.text() | _TIMES
VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12
)


class Router(str, Enum):
    """A text with a name."""

    TOPK = "topk"


FAULTS = """
the dict, data.train.1.path  error[E101] path must be a path as text, is the number 7
      | path = 7
      |        ^

the dict, encoder.use  error[E201] no encoder named "whispr"
      | use = "whispr"
      |        ^^^^^^ did you mean "whisper" (steermoe-whisper 0.2)? known: classless, lost, strange, whisper
      = note: steermoe-beats 0.1 is broken: ModuleNotFoundError: No module named 'torchaudio'

the dict, train.stepz  error[E102] unknown key "stepz" in [train]
      | stepz = 10
      | ^^^^^ did you mean "steps"?
"""
CHANGE_FAULTS = """
the changes, encoder.trim  error[E101] trim must be true or false, is the text "no"
      | encoder = { use = "whisper", trim = "no" }
      |                                     ^^^^

the changes, train.stepz  error[E102] unknown key "stepz" in [train]
      | train.stepz = 7
      |       ^^^^^ did you mean "steps"?
"""


def typed(value):
    """Return a value with the types of everything in it."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    return [typed(item) for item in value] if isinstance(value, list) else (type(value), repr(value))


def of_dict(table, registry, base=Path("/base")):
    """Return the experiment of a dict."""
    return compose(given_layers(table, base), DICT, {}, registry)


def problems(call, error=ConfigError):
    """Return what is wrong, one text a problem."""
    with pytest.raises(error) as caught:
        call()
    return [str(problem) for problem in caught.value.problems]


class TestDict:
    """An experiment as a dict."""

    @pytest.fixture
    def table(self, minimal):
        """Return the tables of the small experiment file."""
        return tomli.loads(minimal.read_text())

    @given(st.dictionaries(st.text().filter(lambda key: key != "extends"), VALUES))
    def test_every_value_of_toml_arrives_as_it_is(self, table):
        """Types included: 1 is not 1.0, and texts keep every character."""
        assert typed(given_layers(table, Path()).table) == typed(table)

    def test_equals_the_file(self, table, minimal, registry):
        """Paths start at the base folder, as they do at the folder of a file."""
        assert of_dict(table, registry, minimal.parent).table == resolve(minimal, [], registry).table

    def test_what_is_like_toml(self, table, registry):
        """Numbers of numpy, paths, tuples, and texts of an enum."""
        plain = of_dict(
            {**table, "adapter": {"use": "steering", "router": {"use": "topk", "k": 2}}}, registry
        )
        table["adapter"] = {"use": "steering", "router": {"use": Router.TOPK, "k": np.int64(2)}}
        table["data"]["train"] = ({"use": "folder", "path": PurePosixPath("clips")},)
        table["train"]["clip"] = np.float64(1)

        found = of_dict(table, registry).table

        assert found == plain.table
        assert type(found["train"]["clip"]) is float

    def test_origin_of_a_value_is_the_dict(self, table, registry):
        """And defaults are defaults."""
        blamed = of_dict(table, registry).blame()
        assert tomli.loads(blamed) == of_dict(table, registry).table
        assert [
            line.partition("# ")[2] for line in blamed.splitlines() if line.startswith(("steps", "clip "))
        ] == [
            "the dict",
            "default of steermoe",
        ]

    def test_extends_a_file(self, minimal, registry):
        """Tables merge; the file's paths start at its own folder."""
        table = {"extends": minimal.name, "train": {"steps": 7}}
        found = of_dict(table, registry, minimal.parent)
        assert found.table == resolve(minimal, ["train.steps=7"], registry).table

    def test_faults_name_the_key(self, table, registry):
        """All of them at once, each with its code, its key path, and what to write."""
        table["train"]["stepz"] = table["train"].pop("steps")
        table["encoder"]["use"] = "whispr"
        table["data"]["train"] = [table["data"]["train"], {"use": "folder", "path": 7}]

        assert problems(lambda: of_dict(table, registry)) == FAULTS.strip("\n").split("\n\n")

    def test_what_is_missing_is_said_of_the_dict(self, registry):
        """There is no file."""
        found = problems(lambda: of_dict({"trane": {}}, registry))
        assert 'the dict, trane  error[E102] unknown key "trane" in the dict' in found[-1]
        assert all(text.startswith("the dict  error[E103] ") for text in found[:-1])

    def test_plugins_have_their_own_error(self, table, registry):
        """As from a file."""
        table["encoder"]["use"] = "beats"
        (found,) = problems(lambda: of_dict(table, registry), PluginError)
        assert found.startswith("the dict, encoder.use  error[E203] ")

    def test_base_file_that_is_not_there(self, registry):
        """The hint says where the path starts."""
        (found,) = problems(lambda: of_dict({"extends": "nix.toml"}, registry))
        assert found.startswith(
            "the dict, extends  error[E004] cannot read the extended file /base/nix.toml: no such"
        )
        assert "the path is relative to `base`" in found

    def test_faults_of_the_base_file_stay_there(self, minimal, registry):
        """With file and line."""
        minimal.write_text(minimal.read_text().replace("steps", "stepz"))
        (found,) = problems(lambda: of_dict({"extends": str(minimal)}, registry))
        assert found.startswith(f"{minimal}:16:1  error[E102] ")

    def test_sweep_is_not_one_experiment(self, table, registry):
        """What to do about it differs from a file."""
        table["sweep"] = {"train.steps": [1, 2]}
        (found,) = problems(lambda: of_dict(table, registry))
        assert "error[E007] the dict is a sweep over train.steps" in found
        assert "leave the table [sweep] out" in found


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "E101] None is not a value of an experiment\n      = leave the key out"),
        (
            {1, 2},
            "E101] a value of the type set is not a value of an experiment\n      = give a number, text, ",
        ),
        (1j, "E101] a value of the type complex is not a value"),
        (np.zeros(2), "E101] a value of the type ndarray is not a value"),
        (2**63, "E301] a whole number is at most 9223372036854775807"),
        pytest.param(10**5000, "E301] a whole number is at most 9223372036854775807", id="endless"),
        ("\ud800", "E101] the text is not Unicode"),
        ({3: 4}, "E101] a key must be text, is a value of the type int 3"),
        ({"\udfff": 4}, "E101] a key must be text, is a value of the type str '\\udfff'"),
        (dt.time(tzinfo=dt.timezone.utc), "E101] "),
    ],
)
def test_values_that_no_file_can_have(value, message, registry, minimal):
    """One sentence with the key, in a dict and in a change."""
    (found,) = problems(lambda: of_dict({"train": {"clip": value}}, registry))
    assert message in found
    if "train" in found:
        assert found.startswith("the dict, train.clip  error[")
    (found,) = problems(lambda: compose(open_layers(minimal), minimal, {"train.clip": value}, registry))
    assert found.startswith("the changes")
    assert message in found


def test_values_inside_each_other_without_end(registry):
    """A list that contains itself twice ends at once."""
    endless = []
    endless += [endless, endless]
    (found,) = problems(lambda: of_dict({"train": {"clip": endless}}, registry))
    assert "error[E301] dicts and lists are nested more than 64 deep" in found


class TestChanges:
    """Some settings of an experiment, changed."""

    @pytest.fixture
    def changed(self, minimal, registry):
        """Return what changes the small experiment."""
        return lambda changes: compose(open_layers(minimal), minimal, changes, registry)

    @pytest.mark.parametrize(
        ("changes", "flags"),
        [
            ({}, []),
            ({"train.steps": 7}, ["train.steps=7"]),
            ({"train": {"steps": 7}}, ["train.steps=7"]),
            ({"encoder.weights": "a = b"}, ["encoder.weights=a = b"]),
            ({"projector.widths": (1, 2)}, ["projector.widths=[1, 2]"]),
            ({'data.eval."a.b"': {"use": "folder", "path": "x"}},
             ['data.eval."a.b"={use="folder", path="x"}']),
            ({"metrics.0.use": "cer", "metrics.1": {"use": "wer"}},
             ["metrics.0.use=cer", "metrics.1.use=wer"]),
            ({"adapter.router.k": 4, "adapter.router.use": "topk", "adapter.use": "steering"},
             ["adapter.use=steering", "adapter.router.use=topk", "adapter.router.k=4"]),
        ],
    )  # fmt: skip
    def test_act_like_flags(self, changes, flags, changed, minimal, registry):
        """Dotted keys, tables, indices; a change of the component comes first."""
        assert changed(changes).table == resolve(minimal, flags, registry).table

    def test_faults_name_the_change(self, changed):
        """With those of the file, all at once."""
        found = problems(lambda: changed({"train.stepz": 7, "encoder": {"use": "whisper", "trim": "no"}}))
        assert found == CHANGE_FAULTS.strip("\n").split("\n\n")

    @pytest.mark.parametrize(
        "key", ["", "a b", "train.", "[train]", "a = 1\nb", "train.steps=1", "#", "." * 80]
    )
    def test_what_is_no_key(self, key, changed):
        """Shown as it is, with an example."""
        (found,) = problems(lambda: changed({key: 1}))
        assert found.startswith("the changes  error[E006] the text ")
        assert "is not a key of an experiment" in found
        assert 'a key looks like "train.steps"' in found

    def test_place_that_takes_no_key(self, changed):
        """As with a flag."""
        (found,) = problems(lambda: changed({"experiment.name.first": 1}))
        assert 'error[E006] experiment.name is the text "tiny": it has no keys' in found

    def test_what_is_no_dict(self, changed):
        """One sentence."""
        assert problems(lambda: changed(["train.steps=7"])) == [
            "the changes  error[E101] the argument must be a dict, is a value of the type list"
        ]

    def test_paths_start_at_the_working_directory(self, changed, tmp_path, monkeypatch):
        """Those of the file do not move."""
        monkeypatch.chdir("/")
        table = changed({"data.eval.dev.path": "elsewhere"}).table["data"]
        assert table["eval"]["dev"]["path"] == "/elsewhere"
        assert table["train"][0]["path"] == str(tmp_path / "clips")

    def test_value_of_an_axis_selects_a_cell(self, minimal, registry):
        """Without one, the hint is the change to make."""
        minimal.write_text(minimal.read_text() + '[sweep]\n"train.steps" = [3, 4]\n')
        found = compose(open_layers(minimal), minimal, {"train.steps": 3}, registry)
        assert found.table["train"]["steps"] == 3
        (found,) = problems(lambda: compose(open_layers(minimal), minimal, {}, registry))
        assert 'choose one experiment with the changes {"train.steps": 3}' in found


def test_changes_quote_what_was_given():
    """Source and spans of an override are those of its line."""
    ((override,), wrong) = changes_of({"train": {"steps": [1]}}, Path("/here"))
    assert (override.names, override.value, wrong) == (("train",), {"steps": [1]}, [])
    assert attrs.astuple(override.value_span) == (8, 23)
    assert sorted(override.inner) == [("steps",), ("steps", 0)]
