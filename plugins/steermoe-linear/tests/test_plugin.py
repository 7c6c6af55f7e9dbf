"""The plugin's record, and how cheap it is to read."""

from __future__ import annotations

import subprocess
import sys

import steermoe_linear
from steermoe_linear.config import LinearRouterConfig


def test_offers_one_router() -> None:
    """The record names the settings and the class."""
    (component,) = steermoe_linear.steermoe_routers()

    assert component.name == "linear"
    assert component.config_class() is LinearRouterConfig


def test_record_and_settings_need_no_torch() -> None:
    """Listing and checking import neither torch nor transformers."""
    code = (
        "import sys, steermoe_linear; next(iter(steermoe_linear.steermoe_routers())).config_class();"
        "print({'torch', 'transformers', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
