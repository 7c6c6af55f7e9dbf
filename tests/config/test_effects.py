"""A key that is accepted is read: no setting may be checked, documented and then ignored.

This is proved of the source, so it holds for every run. That a key which is read has the right effect is for
the tests of the code that reads it.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import attrs
import pytest

from steermoe_core.component import tower_of
from steermoe_core.config.experiment import (
    DataConfig,
    DeepSpeedConfig,
    EvaluateConfig,
    Experiment,
    ExperimentInfo,
    TrainConfig,
    ValidateConfig,
)
from steermoe_core.config.fields import fields_of, tables
from steermoe_core.config.resolve import resolve
from steermoe_core.data.config import (
    AsrConfig,
    DiskConfig,
    FolderConfig,
    HubConfig,
    JsonlConfig,
    ParquetConfig,
)
from steermoe_core.evaluate.config import CerConfig, ExactMatchConfig, TokenAccuracyConfig, WerConfig
from steermoe_core.model.config import (
    CausalLMConfig,
    IdentityConfig,
    LinearConfig,
    MlpConfig,
    NoAdapterConfig,
    PoolConfig,
    SoftCtcConfig,
    SoftmaxRouterConfig,
    SoftPromptConfig,
    SteeringConfig,
    TopKRouterConfig,
)
from steermoe_core.plugins import load_registry
from steermoe_core.train.config import SteeringAnalysisConfig

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "steermoe_core"

#: Where every source reads what it has in common with the others.
ROWS = {"data/sources/rows.py config": "label_columns parts seed speeds"}
#: Where tables with the audio inside read what they have in common.
TABLES = {**ROWS, "data/sources/tables.py config": "path split audio_column rate_column tokenizer"}
#: Columns that are read by what they mean, see `OTHERWISE`.
COLUMNS = ("text", "prompt", "cluster", "id", "seconds", "references", "split", "parts")
#: Where the keys of each settings class are read: file or folder, and the expression they are attributes of.
READERS = {
    Experiment: {
        "run/assembly experiment": """
            experiment encoder adapter projector decoder data collator augment metrics
        """,
        "run/training experiment": "train",
        "run/execute.py experiment": "callbacks",
        "run/scoring experiment": "evaluate",
    },
    ExperimentInfo: {
        "run/folder experiment": "name",
        "run/assembly experiment": "seed",
    },
    DataConfig: {
        "run/assembly data": "train validate eval min_seconds max_seconds max_bad check",
        "run/training data": "weights",
    },
    TrainConfig: {
        "train/trainer.py config": """
            accumulation schedule warmup precision recompute packing compile device
            workers log_every save_every keep
        """,
        "train/epochs.py train": "steps epochs bucket",
        "train/deepspeed.py train": "deepspeed",
        "run/training train": "validate",
        "train/groups.py config": "learning_rate",
        "config/experiment.py self": "batch_size batch_seconds batch_tokens weight_decay clip",
        "run/execute.py train": "threads",
        "run/training config": "keep_frames frames_dtype",
        "run/assembly train": "features",
    },
    DeepSpeedConfig: {"train/deepspeed.py settings": "stage offload"},
    ValidateConfig: {
        "train/validation.py config": "every patience",
        "run/training config": "metric keep_best",
    },
    EvaluateConfig: {
        "evaluate/evaluation.py config": (
            "batch_size max_new_tokens tokens_per_second controls probes nbest nbest_weight"
        ),
        "config/experiment.py self": "batch_tokens",
        "use evaluate": "segment",
    },
    NoAdapterConfig: {},
    SteeringConfig: {
        "model/steering.py config": "on experts start balance router layers scale bounded",
    },
    SoftPromptConfig: {"model/soft_prompt.py config": "tokens text"},
    SoftmaxRouterConfig: {"model/routers.py config": "temperature jitter"},
    TopKRouterConfig: {"model/routers.py config": "temperature jitter k"},
    PoolConfig: {"model/pooling.py config": "kind kernel"},
    IdentityConfig: {"model/projectors.py config": "pool"},
    LinearConfig: {"model/projectors.py config": "pool start trained"},
    MlpConfig: {"model/projectors.py config": "pool hidden"},
    SoftCtcConfig: {
        "model/soft_ctc.py config": """
            pool start start_steps weight vocabulary negatives scale blank_bias sharpness
        """,
    },
    CausalLMConfig: {"model/decoder.py config": "weights dtype attention quantise"},
    FolderConfig: {
        "data/sources/folder.py config": "path split file_column",
        **ROWS,
    },
    JsonlConfig: {
        "data/sources/jsonl.py config": "path split",
        "data/sources/keys.py config": "audio_column offset_column",
        **ROWS,
    },
    ParquetConfig: TABLES,
    DiskConfig: TABLES,
    HubConfig: {
        **ROWS,
        "data/sources/tables.py config": "path split audio_column rate_column tokenizer part",
        "data/sources/hub.py config": "name revision",
    },
    AsrConfig: {
        "data/collators.py config": """
            prompt template system answer_prefix answer_end lower max_answer_tokens max_tokens too_long
        """,
    },
    WerConfig: {"evaluate/metrics.py config": "normalise"},
    CerConfig: {"evaluate/metrics.py config": "normalise"},
    ExactMatchConfig: {"evaluate/accuracy.py config": "normalise"},
    TokenAccuracyConfig: {},
    SteeringAnalysisConfig: {"train/analysis.py config": "every"},
}

#: Keys that no code reads by name, and where their effect is shown.
OTHERWISE = {
    **dict.fromkeys(
        (FolderConfig, JsonlConfig, ParquetConfig, DiskConfig, HubConfig),
        dict.fromkeys((f"{meaning}_column" for meaning in COLUMNS), "test_every_column_has_its_meaning"),
    ),
    ExperimentInfo: {"description": "test_a_description_is_kept_with_the_run"},
    SoftPromptConfig: {"on": "test_an_adapter_names_its_tower"},
}


def settings_classes() -> set[type]:
    """Return the classes of all tables that the engine itself accepts."""
    found = set(tables(Experiment).values())
    for plugin in load_registry(no_plugins=True).plugins:
        for _, component in plugin.components:
            found |= set(tables(component.config_class()).values())
    return found


def plugin_keys() -> list[tuple[str, str]]:
    """Return every key of the settings that the plugins of this repository define, with its package."""
    found = {
        (cls.__module__.partition(".")[0], key)
        for plugin in load_registry().plugins
        for _, component in plugin.components
        for cls in tables(component.config_class()).values()
        for key in fields_of(cls)
    }
    return sorted((package, key) for package, key in found if list(ROOT.glob(f"plugins/*/{package}")))


@cache
def reads(file: Path) -> frozenset[str]:
    """Return the attributes that a file reads, as dotted expressions."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
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
    """The named file, or one of the named folder, has the expression."""
    name, owner = place.split()
    wanted = f"{owner}.{key}"
    files = [ENGINE / name] if name.endswith(".py") else (ENGINE / name).rglob("*.py")
    found = [expression for file in files for expression in reads(file)]
    assert any(one == wanted or one.endswith(f".{wanted}") for one in found), f"{wanted} in {name}"


@pytest.mark.parametrize(("package", "key"), plugin_keys())
def test_a_plugins_key_is_read_by_the_plugin_or_by_what_it_builds_on(package, key):
    """A part reads them from the settings that its factory is given, or the settings class does."""
    (plugin,) = ROOT.glob(f"plugins/*/{package}")
    files = [*plugin.rglob("*.py"), *ENGINE.rglob("*.py")]
    wanted = (f"config.{key}", f"self.{key}")
    assert any(found.endswith(wanted) for file in files for found in reads(file))


def test_what_is_not_read_by_name_is_shown_here():
    """The exceptions have a test each."""
    assert {test for keys in OTHERWISE.values() for test in keys.values()} <= set(globals())


def test_a_description_is_kept_with_the_run(minimal, registry):
    """It is for people: it stands in the resolved experiment that the run folder holds."""
    flag = 'experiment.description="why this run"'
    assert 'description = "why this run"\n' in resolve(minimal, [flag], registry).to_toml()


def test_every_column_has_its_meaning():
    """A column is looked up by what it means: each key gives the field of that name."""
    from steermoe_core.data.sources.rows import Columns

    keys = {f"{meaning}_column": f"my {meaning}" for meaning in COLUMNS}
    found = Columns.of(FolderConfig(path=Path(), parts={"dev": 0.1}, **keys), list(keys.values()), "a table")
    assert {f"{meaning}_column": getattr(found, meaning) for meaning in COLUMNS} == keys
    assert {field.name for field in attrs.fields(Columns)} == {*COLUMNS, "labels"}


def test_an_adapter_names_its_tower():
    """By its key `on`; an adapter without one works on the encoder."""
    assert tower_of(SoftPromptConfig()) == tower_of(SteeringConfig(on="decoder")) == "decoder"
    assert tower_of(SteeringConfig()) == tower_of(NoAdapterConfig()) == "encoder"
