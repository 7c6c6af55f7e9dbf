"""The plugin's records, and how cheap they are to read."""

from __future__ import annotations

import subprocess
import sys

import pytest

import steermoe_clothoaqa
from steermoe_clothoaqa.config import ClothoAqaConfig, QaAccuracyConfig


def test_offers_a_dataset_and_a_metric() -> None:
    """The records name the settings and the code."""
    (dataset,) = steermoe_clothoaqa.steermoe_datasets()
    (metric,) = steermoe_clothoaqa.steermoe_metrics()

    assert (dataset.name, dataset.config_class()) == ("clotho-aqa", ClothoAqaConfig)
    assert (metric.name, metric.config_class()) == ("qa-accuracy", QaAccuracyConfig)


@pytest.mark.parametrize("prompt", ["answer", "{question}{question}"])
def test_a_prompt_holds_the_question_once(prompt: str) -> None:
    """Otherwise the model would not be asked, or twice."""
    with pytest.raises(ValueError, match="exactly once"):
        ClothoAqaConfig(path=".", split="val", prompt=prompt)


def test_records_and_settings_need_no_torch() -> None:
    """Listing and checking import neither torch nor transformers."""
    code = (
        "import sys, steermoe_clothoaqa as p; next(iter(p.steermoe_datasets())).config_class();"
        "print({'torch', 'transformers', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
