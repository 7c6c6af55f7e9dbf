"""The plugin's records, and how cheap they are to read: sacrebleu is imported when a run needs it."""

from __future__ import annotations

import subprocess
import sys

import steermoe_sacrebleu


def test_offers_two_metrics() -> None:
    """BLEU and chrF."""
    assert [component.name for component in steermoe_sacrebleu.steermoe_metrics()] == ["bleu", "chrf"]


def test_records_and_settings_need_neither_sacrebleu_nor_numpy() -> None:
    """Listing and checking import neither."""
    code = (
        "import sys, steermoe_sacrebleu as p; [c.config_class() for c in p.steermoe_metrics()];"
        "print({'torch', 'sacrebleu', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
