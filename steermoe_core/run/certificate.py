"""A certificate: one claim about a run, whether it holds, and what was measured to tell."""

from __future__ import annotations

from typing import Any

import attrs


@attrs.frozen(kw_only=True)
class Certificate:
    """One claim about a run that was measured on the run itself.

    :param name: what it is called.
    :param claim: a sentence that is true of a run that can be trusted.
    :param passed: whether it holds; None where it cannot be asked.
    :param why: a sentence: what was found, or why it cannot be asked.
    :param measured: the figures behind it, plain values.
    :param command: what measures or shows them again.
    """

    name: str
    claim: str
    passed: bool | None
    why: str
    measured: dict[str, Any] = attrs.field(factory=dict)
    command: str = ""
