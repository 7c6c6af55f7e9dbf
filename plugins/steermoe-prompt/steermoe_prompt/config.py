"""Settings of the collator with several prompts; cheap to import."""

from __future__ import annotations

import attrs

from steermoe_core.data.config import CHAT, PROMPT_SLOT, AsrConfig


@attrs.frozen(kw_only=True)
class PromptConfig(AsrConfig):
    """Audio and a prompt for each clip: its own, or one of several; the answer is the clip's text.

    :param prompts: prompts for clips that have none of their own, in place of `prompt`: in training one is
        drawn for each clip, anew at each pass; evaluation takes the first.
    :param required: each clip has to bring its own prompt; one without is an error.
    """

    prompts: list[str] = attrs.field(factory=list)
    required: bool = False

    def __attrs_post_init__(self) -> None:
        """Check what the keys mean together."""
        super().__attrs_post_init__()
        chosen = self.prompt not in ("", attrs.fields(PromptConfig).prompt.default)
        if self.required and (self.prompts or chosen):
            msg = "with required = true each clip has its own prompt, and no other is ever read; leave it out"
            raise ValueError(msg)
        if self.prompts and chosen:
            msg = "prompts takes the place of prompt; leave one of them out"
            raise ValueError(msg)
        slotless = self.template != CHAT and PROMPT_SLOT not in self.template
        if slotless and (self.prompts or self.required):
            msg = f"the template has no slot {PROMPT_SLOT} for the clips' prompts"
            raise ValueError(msg)
