"""The plugin's record, and how cheap it is to read."""

from __future__ import annotations

import subprocess
import sys

import steermoe_conformer
from steermoe_conformer.config import ConformerConfig, HfConfig


def test_offers_two_encoders() -> None:
    """The records name the settings and the classes."""
    found = {component.name: component for component in steermoe_conformer.steermoe_encoders()}

    assert {name: component.config_class() for name, component in found.items()} == {
        "conformer": ConformerConfig,
        "hf": HfConfig,
    }


def test_record_and_settings_need_no_torch() -> None:
    """Listing and checking import neither torch nor transformers."""
    code = (
        "import sys, steermoe_conformer;"
        "[component.config_class() for component in steermoe_conformer.steermoe_encoders()];"
        "print({'torch', 'transformers', 'numpy', 'huggingface_hub'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
