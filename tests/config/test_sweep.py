"""A sweep's cells are the experiments that `--set` flags would make, all checked at once."""

from __future__ import annotations

import pytest

from steermoe_core.config.resolve import resolve
from steermoe_core.config.sweep import resolve_sweep
from steermoe_core.errors import ConfigError, PluginError

AXES = """
[adapter]
use = "steering"
[sweep]
"adapter.experts" = [1, 2]
experiment.seed = [17, 18, 19]
"""


@pytest.fixture
def sweep(minimal):
    """Return a file with two axes, one in either spelling."""
    minimal.write_text(minimal.read_text() + AXES)
    return minimal


def test_cells_are_the_cross_product(sweep, registry):
    """The last axis changes first."""
    cells = resolve_sweep(sweep, [], registry)

    pairs = [(experts, seed) for experts in (1, 2) for seed in (17, 18, 19)]
    assert [tuple(cell.settings.values()) for cell in cells] == pairs
    assert list(cells[0].settings) == ["adapter.experts", "experiment.seed"]
    assert str(cells[4]) == "adapter.experts = 2, experiment.seed = 18"


def test_a_cell_is_what_flags_make_of_the_file(sweep, registry, tmp_path):
    """Of this file and of one without the table; equal digests are the same run folder."""
    plain = tmp_path / "plain.toml"
    plain.write_text(sweep.read_text().partition("[sweep]")[0])
    for cell in resolve_sweep(sweep, [], registry):
        flags = [f"{name}={value}" for name, value in cell.settings.items()]
        for file in (sweep, plain):
            found = resolve(file, flags, registry)
            assert (found.table, found.digest) == (cell.resolved.table, cell.resolved.digest)
        assert "sweep" not in cell.resolved.table


def test_a_flag_takes_the_place_of_an_axis(sweep, registry):
    """So a part of a sweep can be run; a flag of another key changes every cell."""
    cells = resolve_sweep(sweep, ["experiment.seed=5", "train.steps=3"], registry)

    assert [cell.settings for cell in cells] == [{"adapter.experts": 1}, {"adapter.experts": 2}]
    assert {cell.resolved.experiment.experiment.seed for cell in cells} == {5}
    assert {cell.resolved.experiment.train.steps for cell in cells} == {3}


def test_a_file_without_the_table_is_one_cell(minimal, registry):
    """It has no settings of its own."""
    (cell,) = resolve_sweep(minimal, [], registry)

    assert cell.settings == {}
    assert cell.resolved.digest == resolve(minimal, [], registry).digest


def test_axes_may_choose_components(minimal, registry):
    """Those with `use` act first; a whole table replaces another component's."""
    minimal.write_text(
        minimal.read_text()
        + '[sweep]\n"adapter.router.use" = ["softmax", "topk"]\n"adapter.use" = ["steering"]\n'
    )
    found = [cell.resolved.table["adapter"]["router"] for cell in resolve_sweep(minimal, [], registry)]
    assert found == [{"use": "softmax"}, {"use": "topk", "k": 2}]

    tables = "\n".join(f"sweep.adapter = {value}" for value in ['[{use="none"}, {use="steering",experts=3}]'])
    minimal.write_text(f"{tables}\n{minimal.read_text().partition('[sweep]')[0]}")
    found = [cell.resolved.table["adapter"]["use"] for cell in resolve_sweep(minimal, [], registry)]
    assert found == ["none", "steering"]


def test_axes_of_a_base_file_are_inherited(sweep, registry, tmp_path):
    """They merge as every table does: a list of values replaces the list of the same key."""
    top = tmp_path / "top.toml"
    top.write_text('extends = "tiny.toml"\n[sweep]\n"adapter.experts" = [4]\n"train.steps" = [1, 2]\n')

    cells = resolve_sweep(top, [], registry)

    assert [tuple(cell.settings.values()) for cell in cells][:3] == [(4, 17, 1), (4, 17, 2), (4, 18, 1)]
    assert len(cells) == 6


def test_paths_start_at_the_file(minimal, registry, tmp_path, monkeypatch):
    """An axis is written in a file, wherever the command is given."""
    minimal.write_text(minimal.read_text() + '[sweep]\n"data.eval.dev.path" = ["a", "b"]\n')
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    found = [
        cell.resolved.experiment.data.eval["dev"].config.path for cell in resolve_sweep(minimal, [], registry)
    ]

    assert found == [tmp_path / "a", tmp_path / "b"]


def test_blame_points_at_the_value_of_the_axis(sweep, registry):
    """A setting of a cell came from a line of the file."""
    cell = resolve_sweep(sweep, [], registry)[0]

    line = sweep.read_text().splitlines().index('"adapter.experts" = [1, 2]') + 1
    assert str(cell.resolved.origins["adapter", "experts"]).endswith(f"tiny.toml:{line}")


def test_a_component_that_is_missing_is_a_plugins_error(minimal, registry):
    """Exit code 3, as for one experiment."""
    minimal.write_text(minimal.read_text() + '[sweep]\n"encoder.use" = ["whisper", "beets"]\n')
    with pytest.raises(PluginError, match="no encoder named"):
        resolve_sweep(minimal, [], registry)


def test_a_mistake_that_all_cells_share_is_told_once(sweep, registry):
    """Not once a cell."""
    with pytest.raises(ConfigError) as caught:
        resolve_sweep(sweep, ["train.stepz=3"], registry)
    (problem,) = caught.value.problems
    assert (problem.code, problem.notes) == ("E102", ())
