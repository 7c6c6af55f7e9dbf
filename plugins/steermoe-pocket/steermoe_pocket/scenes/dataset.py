"""The dataset `pocket-scenes`: the scenes, read as Clotho-AQA is, or with a caption each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_clothoaqa.config import QUESTION_SLOT
from steermoe_clothoaqa.reader import PARTS, read
from steermoe_core.data.audio.waveform import duration
from steermoe_core.data.example import Example
from steermoe_pocket.scenes import folder
from steermoe_pocket.scenes.questions import caption
from steermoe_pocket.scenes.scene import draw

if TYPE_CHECKING:
    from steermoe_pocket.scenes.config import ScenesConfig

REQUEST = "What is heard in order?"


def examples(config: ScenesConfig) -> list[Example]:
    """Return the examples of the split that the settings name."""
    place = folder.folder(config.seed)
    if config.ask == "questions":
        return read(place, config)
    scenes = [draw(config.split, number, config.seed) for number in range(folder.SIZES[config.split])]
    return [
        Example(
            id=f"{config.split}/{scene.name}#caption",
            audio=folder.clip(place, scene),
            text=caption(scene),
            seconds=duration(folder.clip(place, scene)),
            prompt=config.prompt.replace(QUESTION_SLOT, REQUEST),
            cluster=folder.clip(place, scene).name,
            split=PARTS[config.split],
        )
        for scene in scenes
    ]
