"""The plugin's records, and how cheap they are to read."""

from __future__ import annotations

import subprocess
import sys

import steermoe_lora
from steermoe_lora.config import LoraAnalysisConfig, LoraConfig


def test_offers_an_adapter_and_a_callback() -> None:
    """The records name the settings and the classes."""
    (adapter,), (callback,) = steermoe_lora.steermoe_adapters(), steermoe_lora.steermoe_callbacks()

    assert (adapter.name, callback.name) == ("lora", "lora-analysis")
    assert adapter.config_class() is LoraConfig
    assert callback.config_class() is LoraAnalysisConfig


def test_records_and_settings_need_no_torch() -> None:
    """Listing and checking import neither torch nor peft."""
    code = (
        "import sys, steermoe_lora as plugin;"
        "[part.config_class() for part in (*plugin.steermoe_adapters(), *plugin.steermoe_callbacks())];"
        "print({'torch', 'peft', 'transformers', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
