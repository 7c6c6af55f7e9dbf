"""The record of one thing that an examination finds, and the list of all that it can find."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import attrs

from steermoe_core.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable

Level = Literal["error", "warning", "note"]

#: Every code: how grave it is, and what it says.
CODES: dict[str, tuple[Level, str]] = {
    "plugin-broken": ("error", "a plugin cannot be used"),
    "plugin-settings": ("error", "the settings of a plugin's component cannot be loaded"),
    "plugin-requirement": ("error", "a plugin requires a package that is missing or of another version"),
    "plugin-slow": ("warning", "the import of a plugin is slow"),
    "plugin-blocked": ("note", "a plugin is blocked"),
    "block-unknown": ("warning", "STEERMOE_BLOCK names what is not installed"),
    "python-version": ("error", "steermoe requires another Python"),
    "package-requirement": ("error", "steermoe requires a package that is missing or of another version"),
    "package-broken": ("error", "a package that steermoe requires cannot be imported"),
    "package-optional": ("note", "a package that some experiments need is missing"),
    "gpu-unused": ("warning", "there is a GPU that torch cannot use"),
    "threads": ("warning", "more threads are asked for than there are cores"),
    "cache-folder": ("warning", "the cache of models and datasets cannot be written"),
    "disk-space": ("warning", "little room is left for models or runs"),
    "sound-formats": ("warning", "a usual format of sound files cannot be read"),
    "run-abandoned": ("warning", "a run says that it is running, and no process is"),
    "run-damaged": ("warning", "a file in a run folder is damaged"),
    "run-lock": ("warning", "a lock lies in a run folder that no process holds"),
}


@attrs.frozen(kw_only=True)
class Finding:
    """One thing that is wrong, or could be better.

    :param code: key of `CODES`.
    :param what: one sentence, without a full stop.
    :param mend: what to do about it, with a command in backticks.
    :param where: the place in a plugin's code, as ``file:line``, or a folder; None where there is none.
    """

    code: str = attrs.field(validator=attrs.validators.in_(CODES))
    what: str = attrs.field(validator=attrs.validators.min_len(1))
    mend: str = attrs.field(validator=attrs.validators.matches_re(r"[^`]*`[^`]+`.*"))
    where: str | None = None

    @property
    def level(self) -> Level:
        """How grave it is; only an error changes the exit code."""
        return CODES[self.code][0]

    @property
    def exit_code(self) -> ExitCode:
        """What it makes of the exit code: plugins 3, all else 4."""
        if self.level != "error":
            return ExitCode.OK
        return ExitCode.PLUGIN if self.code.startswith("plugin-") else ExitCode.ENVIRONMENT

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for `--json`."""
        return {"level": self.level, **attrs.asdict(self)}


def exit_code(findings: Iterable[Finding]) -> ExitCode:
    """Return the exit code of an examination: the highest of its findings."""
    return max((finding.exit_code for finding in findings), default=ExitCode.OK)
