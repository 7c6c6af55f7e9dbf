"""A key that is accepted is read: no setting may be checked, documented and then ignored.

A read is not yet the right effect; that is for the tests of the floor that reads it.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import attrs
import pytest

from steermoe_core.config.experiment import (
    DataConfig,
    EvaluateConfig,
    Experiment,
    ExperimentInfo,
    LearningRates,
    TrainConfig,
)
from steermoe_core.config.fields import fields_of, tables
from steermoe_core.config.resolve import resolve
from steermoe_core.data.config import AsrConfig, FolderConfig
from steermoe_core.evaluate.config import CerConfig, WerConfig
from steermoe_core.model.config import (
    CausalLMConfig,
    LinearConfig,
    MlpConfig,
    NoAdapterConfig,
    PoolConfig,
    SoftCtcConfig,
    SoftmaxRouterConfig,
    SteeringConfig,
)
from steermoe_core.plugins import load_registry
from steermoe_core.train.config import SteeringAnalysisConfig

ENGINE = Path(__file__).parents[2] / "steermoe_core"

#: Where the keys of each settings class are read: file and the expression they are attributes of.
READERS = {
    Experiment: {
        "run/build.py experiment": "experiment encoder adapter projector decoder data collator",
        "run/execute.py experiment": "train evaluate metrics callbacks",
    },
    ExperimentInfo: {
        "run/folder.py experiment": "name",
        "run/build.py experiment": "seed",
    },
    DataConfig: {"run/build.py data": "train eval min_seconds max_seconds max_bad"},
    TrainConfig: {
        "train/trainer.py config": """
            steps batch_size accumulation bucket schedule warmup clip precision device workers log_every
            save_every keep
        """,
        "train/groups.py config": "learning_rate weight_decay",
        "run/execute.py train": "threads",
    },
    EvaluateConfig: {
        "evaluate/evaluation.py config": "batch_size max_new_tokens tokens_per_second controls",
    },
    NoAdapterConfig: {},
    SteeringConfig: {
        "model/steering.py config": "experts scale start balance router",
        "model/config.py self": "layers",
    },
    SoftmaxRouterConfig: {"model/routers.py config": "temperature"},
    PoolConfig: {"model/pooling.py config": "kind kernel"},
    LinearConfig: {"model/projectors.py config": "pool start"},
    MlpConfig: {"model/projectors.py config": "pool hidden"},
    SoftCtcConfig: {
        "model/soft_ctc.py config": """
            pool start start_steps weight vocabulary negatives scale blank_bias sharpness
        """,
    },
    CausalLMConfig: {"model/decoder.py config": "weights dtype attention"},
    FolderConfig: {
        "data/sources.py config": """
            path file_column text_column prompt_column cluster_column split parts seed speeds
        """,
    },
    AsrConfig: {
        "data/collators.py config": "prompt template answer_prefix answer_end lower max_answer_tokens",
    },
    WerConfig: {"evaluate/metrics.py config": "normalise"},
    CerConfig: {"evaluate/metrics.py config": "normalise"},
    SteeringAnalysisConfig: {"train/analysis.py config": "every"},
}

#: Keys that no code reads by name, and where their effect is shown.
OTHERWISE = {
    ExperimentInfo: {"description": "test_a_description_is_kept_with_the_run"},
    LearningRates: dict.fromkeys(
        ("projector", "steering", "router", "scales", "lora"), "test_every_group_has_its_rate"
    ),
}


def settings_classes() -> set[type]:
    """Return the classes of all tables that the engine itself accepts."""
    found = set(tables(Experiment).values())
    for plugin in load_registry(no_plugins=True).plugins:
        for _, component in plugin.components:
            found |= set(tables(component.config_class()).values())
    return found


@cache
def reads(file: str) -> frozenset[str]:
    """Return the attributes that a file reads, as dotted expressions."""
    tree = ast.parse((ENGINE / file).read_text(encoding="utf-8"))
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return frozenset(ast.unparse(node) for node in nodes if isinstance(node.ctx, ast.Load))


@pytest.mark.parametrize("cls", sorted(settings_classes(), key=lambda cls: cls.__name__))
def test_every_key_has_a_reader(cls):
    """Who adds a key says here what reads it; who removes one removes it here."""
    named = [key for keys in READERS.get(cls, {}).values() for key in keys.split()]
    assert sorted([*named, *OTHERWISE.get(cls, {})]) == sorted(fields_of(cls))


@pytest.mark.parametrize(
    ("place", "key"),
    [(place, key) for readers in READERS.values() for place, keys in readers.items() for key in keys.split()],
)
def test_the_reader_reads_it(place, key):
    """The named file has the expression."""
    file, owner = place.split()
    wanted = f"{owner}.{key}"
    assert any(found == wanted or found.endswith(f".{wanted}") for found in reads(file)), (
        f"{wanted} in {file}"
    )


def test_what_is_not_read_by_name_is_shown_here():
    """The exceptions have a test each."""
    assert {test for keys in OTHERWISE.values() for test in keys.values()} <= set(globals())


def test_a_description_is_kept_with_the_run(minimal, registry):
    """It is for people: it stands in the resolved experiment that the run folder holds."""
    flag = 'experiment.description="why this run"'
    assert 'description = "why this run"\n' in resolve(minimal, [flag], registry).to_toml()


def test_every_group_has_its_rate():
    """A rate is looked up by the name of a parameter group: what a part may name, and no other, is a key."""
    from steermoe_core.train.groups import _rate

    rates = attrs.asdict(LearningRates(lora=0.5))
    assert {name: _rate(rates, name, LearningRates()) for name in rates} == rates
    assert rates["lora"] == 0.5
