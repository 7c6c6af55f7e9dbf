"""The plugin's record, and how cheap it is to read."""

from __future__ import annotations

import subprocess
import sys

import steermoe_whisper
from steermoe_whisper.config import WhisperConfig


def test_offers_one_encoder() -> None:
    """The record names the settings and the class."""
    (component,) = steermoe_whisper.steermoe_encoders()

    assert component.name == "whisper"
    assert component.config_class() is WhisperConfig


def test_record_and_settings_need_no_torch() -> None:
    """Listing and checking import neither torch nor transformers."""
    code = (
        "import sys, steermoe_whisper; next(iter(steermoe_whisper.steermoe_encoders())).config_class();"
        "print({'torch', 'transformers', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
