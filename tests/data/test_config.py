"""Settings of datasets and collators are checked where they are written, without any heavy import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from steermoe_core.data.config import AsrConfig, FolderConfig


def test_settings_import_nothing_heavy() -> None:
    """A check of an experiment reads the settings' classes without torch, numpy or soundfile."""
    code = (
        "import sys, steermoe_core.data.config, steermoe_core.evaluate.config;"
        "print(sorted({'torch', 'numpy', 'soundfile', 'transformers', 'jiwer'} & set(sys.modules)))"
    )

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("{prompt}", "{audio} exactly once"),
        ("{audio}{audio}", "{audio} exactly once"),
        ("{prompt}{audio}{prompt}", "{prompt} at most once"),
        ("{audio}{promt}", "but not {promt}"),
    ],
)
def test_a_template_without_its_slots_is_refused(template: str, complaint: str) -> None:
    """One audio slot, at most one prompt slot, and no third kind."""
    with pytest.raises(ValueError, match=complaint):
        AsrConfig(template=template)


@pytest.mark.parametrize("template", ["{audio}", "a { b {audio} } {prompt}", "{prompt}{audio}: "])
def test_templates_may_hold_any_text(template: str) -> None:
    """Braces that are no slot are text."""
    assert AsrConfig(template=template).template == template


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ({"train": 0.8}, "cannot be called 'train'"),
        ({"all": 0.1}, "cannot be called 'all'"),
        ({"dev": -0.1}, "negative"),
        ({"dev": 0.6, "test": 0.6}, "more than 1"),
    ],
)
def test_impossible_parts_are_refused(parts: dict[str, float], complaint: str) -> None:
    """Train is what is left, and shares are shares."""
    with pytest.raises(ValueError, match=complaint):
        FolderConfig(path=Path(), parts=parts)
