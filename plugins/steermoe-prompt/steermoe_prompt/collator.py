"""The layout of the built-in `asr`, with several prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core.data.collators import AsrCollator
from steermoe_core.errors import DataError

if TYPE_CHECKING:
    from steermoe_prompt.config import PromptConfig


class PromptCollator(AsrCollator):
    """A prompt for each example: its own, or one of several, drawn by the run's seed."""

    config: PromptConfig

    def common(self) -> list[str]:
        return self.config.prompts or [self.config.prompt]

    def choices(self, name: str, own: str | None) -> list[str]:
        """Return the prompts that a clip may get, that of evaluation first.

        :raises DataError: when it has none of its own and should have.
        """
        if own is None and self.config.required:
            msg = (
                f"{name}: the clip has no prompt of its own, and collator.required asks for one; "
                "name the source's prompt_column, or leave required out"
            )
            raise DataError(msg)
        return super().choices(name, own)
