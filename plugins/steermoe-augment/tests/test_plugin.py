"""The plugin's records, and how cheap they are to read."""

from __future__ import annotations

import subprocess
import sys

import pytest

import steermoe_augment
from steermoe_augment import config


def test_offers_five_augmentations() -> None:
    """The records name the settings and the classes."""
    found = {part.name: part.config_class() for part in steermoe_augment.steermoe_augmentations()}

    assert found == {
        "spec-augment": config.SpecAugmentConfig,
        "noise": config.NoiseConfig,
        "reverb": config.ReverbConfig,
        "speed": config.SpeedConfig,
        "gain": config.GainConfig,
    }


def test_records_and_settings_need_no_torch() -> None:
    """Listing and checking import neither torch nor numpy."""
    code = (
        "import sys, steermoe_augment\n"
        "for part in steermoe_augment.steermoe_augmentations(): part.config_class()\n"
        "print({'torch', 'transformers', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("cls", "settings", "sentence"),
    [
        (config.SpeedConfig, {"min_speed": 1.2}, "min_speed is 1.2, above max_speed, which is 1.1"),
        (config.GainConfig, {"max_db": -7.0}, "min_db is -6, above max_db, which is -7"),
        (config.NoiseConfig, {"path": "x", "min_snr": 30.0}, "min_snr is 30, above max_snr, which is 20"),
        (config.SpecAugmentConfig, {"frequency_masks": 0, "time_masks": 0}, "nothing is masked"),
        (config.SpecAugmentConfig, {"probability": 0.0}, "must be > 0.0"),
    ],
)
def test_settings_that_mean_nothing(cls: type, settings: dict[str, object], sentence: str) -> None:
    """They are refused when the experiment is checked."""
    with pytest.raises(ValueError, match=sentence):
        cls(**settings)
