"""`adapter = "…"`: a trained adapter in place of the table; and the part of a file that a model needs."""

from __future__ import annotations

import pytest

from steermoe_core.component import Trained
from steermoe_core.config.resolve import model_toml, resolve, resolve_model
from steermoe_core.errors import ConfigError

HUB = "hub:ada/ears"


@pytest.mark.parametrize("source", [HUB, f"{HUB}@v1.0", "/runs/ears-1a2b"])
def test_a_text_is_where_the_adapter_comes_from(source, minimal, registry):
    """Nothing is fetched; its projector comes along, and no key of the resolved table names that."""
    resolved = resolve(minimal, [f'adapter="{source}"'], registry)

    assert [one.config for one in resolved.experiment.adapter] == [Trained(source)]
    assert resolved.experiment.started_from == source
    assert resolved.experiment.projector.config == Trained(source)
    assert resolved.table["adapter"] == source
    assert "projector" not in resolved.table


@pytest.mark.parametrize("flags", [[], ["projector.use=linear"]])
def test_it_resolves_to_itself(flags, minimal, registry, tmp_path):
    """With a projector of one's own or without."""
    resolved = resolve(minimal, [f'adapter="{HUB}"', *flags], registry)
    again = tmp_path / "experiment.toml"
    again.write_text(resolved.to_toml(), encoding="utf-8")

    assert resolve(again, [], registry).experiment == resolved.experiment
    assert resolve(again, [], registry).digest == resolved.digest
    assert f'adapter = "{HUB}"' in resolved.blame()


def test_a_path_starts_at_the_file_that_says_it(minimal, registry):
    """As every path does."""
    text = minimal.read_text(encoding="utf-8")
    minimal.write_text(f'adapter = "./ears"\n{text}', encoding="utf-8")

    resolved = resolve(minimal, [], registry)

    assert resolved.table["adapter"] == (minimal.parent / "ears").as_posix()


def test_it_takes_the_place_of_an_inherited_table(minimal, registry, tmp_path):
    """And a table takes its place."""
    top = tmp_path / "top.toml"
    top.write_text(f'extends = "{minimal}"\nadapter = "{HUB}"\n', encoding="utf-8")
    over = tmp_path / "over.toml"
    over.write_text('extends = "top.toml"\n[adapter]\nuse = "steering"\n', encoding="utf-8")

    assert resolve(top, [], registry).table["adapter"] == HUB
    assert resolve(over, [], registry).table["adapter"]["use"] == "steering"
    assert resolve(over, [], registry).table["projector"]["use"] == "linear"


def test_no_steps_need_a_start(minimal, registry):
    """Scoring what was never trained would be a mistake; with a start it is what is asked for."""
    with pytest.raises(
        ConfigError, match="steps is 0, but the experiment does not start from a trained adapter"
    ):
        resolve(minimal, ["train.steps=0"], registry)
    with pytest.raises(ConfigError, match="no training to validate"):
        resolve(minimal, ["train.steps=0", f'adapter="{HUB}"', "train.validate.every=1"], registry)
    assert resolve(minimal, ["train.steps=0", f'adapter="{HUB}"'], registry).experiment.train.steps == 0


def test_the_models_part_needs_no_data(minimal, registry, tmp_path):
    """It resolves to the same parts, whatever else a file has, where plugins of data are missing too."""
    resolved = resolve(minimal, ["adapter.use=steering", "adapter.experts=3"], registry)
    alone = tmp_path / "alone.toml"
    alone.write_text(model_toml(resolved.experiment, registry), encoding="utf-8")
    strange = tmp_path / "strange.toml"
    more = '\n[data.train]\nuse = "nobody-has-it"\n[[metrics]]\nuse = "nor-this"\n'
    strange.write_text(alone.read_text(encoding="utf-8") + more, encoding="utf-8")

    for file in (alone, strange, minimal):
        found = resolve_model(file, registry)
        assert (found.encoder, found.decoder) == (resolved.experiment.encoder, resolved.experiment.decoder)
    assert resolve_model(strange, registry).adapter == resolved.experiment.adapter
    assert "[data" not in alone.read_text(encoding="utf-8")
    assert "[train" not in alone.read_text(encoding="utf-8")


def test_mistakes_in_the_models_part_are_located(minimal, registry):
    """As in any experiment."""
    text = minimal.read_text(encoding="utf-8").replace('use = "whisper"', 'use = "wisper"')
    minimal.write_text(text, encoding="utf-8")

    with pytest.raises(Exception, match='no encoder named "wisper"'):
        resolve_model(minimal, registry)
