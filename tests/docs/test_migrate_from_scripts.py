"""Who comes from the old scripts finds every name in the table, and each successor exists."""

from __future__ import annotations

import re
from typing import Any

import pytest

from steermoe_core.cli.commands import COMMANDS
from steermoe_core.config.sweep import resolve_sweep
from steermoe_core.plugins import load_registry
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "how-to" / "migrate-from-scripts.md").read_text(encoding="utf-8")
REGISTRY = load_registry()
#: Tables that are absent unless they are written, and that no shipped experiment writes.
WRITTEN = ["train.deepspeed.stage=2"]
FILES = [path for path in (ROOT / "experiments").rglob("*.toml") if path.parent.name != "base"]

SCRIPTS = """
    train.py train_layer_wise.py train_layer_wise_linear_whisper.py train_layer_wise_prompt.py
    train_layer_wise_conformer.py train_layer_wise_conformer_clothoaqa.py train_conformer_linear.py
    train_lora.py eval_lora.py example_training.py cer.py wer.py lora_train.sh steermoe_train.sh train.sh
    pre_process_librispeech.py pre_process_aishell.py pre_process_clothoaqa.py pre_process_mmau.py
    pre_process_openaudiobench.py
"""
FLAGS = "--config --mode --model_path --resume_from --deepspeed_config --eval_dataset --local_rank"
FUNCTIONS = """
    load_parquet_datasets load_parquet_datasets_for_steermoe load_parquet_datasets_for_lora
    filter_dataset_by_length prepare_dataset prepare_asr_dataset create_layer_wise_optimizer
    create_lora_optimizer save_custom load_custom save_trainer_model load_trainer_model save_optimizer_state
    load_optimizer_state push_to_hub load_from_hub example_inference get_steering_analysis
    analyze_steering_patterns load_balancing_loss SteeringAnalysisCallback LoRAAnalysisCallback
    GradientClippingCallback EarlyStoppingCallback SteerMoEModel SteerMoEHybridModel SteerMoEAligner
"""
KEYS = """
    model_path feature_dim num_layers freeze model_name max_length use_cache num_experts steering_scale
    use_layer_scales use_gradient_clipping steering_gradient_clip rank alpha dropout target_modules
    output_dir logging_dir batch_size epochs learning_rate steering_learning_rate router_learning_rate
    lora_learning_rate lr weight_decay warmup_steps fp16 use_deepspeed gradient_clipping
    load_balance_loss_weight per_device_eval_batch_size parquet_dirs audio_column text_column sample_rate
    filter_dataset max_audio_length max_text_length textual_prompt max_prompt_tokens use_adapter
    save_total_limit logging_steps save_steps eval_steps log_steering_analysis steering_log_interval
    clip_steering_gradients use_early_stopping early_stopping_patience load_best_model_at_end
    metric_for_best_model greater_is_better evaluation_strategy save_strategy logging_strategy report_to
    eval_dataset_name eval_batch_size deepspeed_config pooling_kernel_size pooling_position pooling_type
    lora_log_interval lora_gradient_clip custom_test_set_path
"""


@pytest.mark.parametrize("name", [*SCRIPTS.split(), *FLAGS.split(), *FUNCTIONS.split(), *KEYS.split()])
def test_every_old_name_is_on_the_page(name: str) -> None:
    """In the first column of a table."""
    old = [line.split(" | ")[0] for line in PAGE.splitlines() if line.startswith("| `")]
    assert any(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w.])", column) for column in old)


def test_every_new_key_exists() -> None:
    """Each dotted key is one of a shipped experiment, with defaults and what may be written."""
    tables = [resolve_sweep(path, WRITTEN, REGISTRY)[0].resolved.table for path in FILES]
    rooms = "experiment|encoder|adapter|projector|decoder|data|collator|train|evaluate|callbacks"
    new = " ".join(line.split(" | ", 1)[1] for line in PAGE.splitlines() if line.startswith("| `"))

    keys = re.findall(rf"`((?:{rooms})(?:\.\w+)+)`", new)

    assert len(keys) > 30
    assert [key for key in keys if not any(_has(table, key.split(".")) for table in tables)] == []


def test_every_new_command_and_component_exists() -> None:
    """Commands are the program's, and what stands behind `use` is installed."""
    commands = re.findall(r"steermoe ([a-z-]+)", PAGE)
    names = {part.name for plugin in REGISTRY.plugins for _, part in plugin.components}

    assert set(commands) <= set(COMMANDS)
    assert set(re.findall(r'use = "([\w-]+)"', PAGE)) <= names


def _has(value: Any, keys: list[str]) -> bool:
    """Tell whether a table has a key; a list has what any of its tables has."""
    if isinstance(value, list):
        return any(_has(item, keys) for item in value)
    if not keys:
        return True
    return isinstance(value, dict) and keys[0] in value and _has(value[keys[0]], keys[1:])
