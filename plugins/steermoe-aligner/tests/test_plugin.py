"""The plugin's record, and how cheap it is to read."""

from __future__ import annotations

import subprocess
import sys

import steermoe_aligner
from steermoe_aligner.config import AlignerConfig


def test_offers_one_adapter() -> None:
    """The record names the settings and the class."""
    (component,) = steermoe_aligner.steermoe_adapters()

    assert component.name == "aligner"
    assert component.config_class() is AlignerConfig


def test_record_and_settings_need_no_torch() -> None:
    """Listing and checking import neither torch nor transformers."""
    code = (
        "import sys, steermoe_aligner; next(iter(steermoe_aligner.steermoe_adapters())).config_class();"
        "print({'torch', 'transformers', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
