"""The plugin's record, and how cheap it is to read."""

from __future__ import annotations

import subprocess
import sys

import steermoe_prompt
from steermoe_prompt.config import PromptConfig


def test_offers_one_collator():
    (component,) = steermoe_prompt.steermoe_collators()

    assert component.name == "prompt"
    assert component.config_class() is PromptConfig


def test_record_and_settings_need_no_torch():
    code = (
        "import sys, steermoe_prompt; next(iter(steermoe_prompt.steermoe_collators())).config_class();"
        "print({'torch', 'transformers', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
