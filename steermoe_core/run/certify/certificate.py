"""A certificate: one claim about a run, whether it holds, and what was measured to tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.errors import CheckpointError
from steermoe_core.system.json_shapes import DamagedError, read_json

if TYPE_CHECKING:
    from steermoe_core.run.folder.run_folder import RunFolder

#: certificates.json, as far as somebody reads it.
_SHAPE = {"certificates": [{"name": str, "passed": (None, bool), "why?": str, "command?": str}]}


def read_certificates(folder: RunFolder) -> list[dict[str, Any]]:
    """Return what certificates.json says; nothing where there is none.

    :raises CheckpointError: it is damaged.
    """
    try:
        return list(read_json(folder.certificates, _SHAPE)["certificates"])
    except FileNotFoundError:
        return []
    except DamagedError as error:
        msg = (
            f"{folder.certificates} is damaged ({error}); move it away, then measure it again with "
            f"`steermoe certify {folder.path}`"
        )
        raise CheckpointError(msg) from None


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
