"""The record of one thing that an examination finds, and the list of all that it can find."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from steermoe_core.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from steermoe_core.plugins.requirements import Unmet
    from steermoe_core.system.records import Json

Level = Literal["error", "warning", "note"]

#: Every code with its severity and its meaning.
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
        """Severity; only an error changes the exit code."""
        return CODES[self.code][0]

    def to_json(self) -> Json:
        """Return the fields, the level first."""
        return {"level": self.level, **attrs.asdict(self)}


def requirement(code: str, owner: str, package: Unmet) -> Finding:
    """Return the finding of a package that something requires and that is missing or of another version."""
    there = f"{package.installed} is installed" if package.installed else "it is not installed"
    return Finding(
        code=code, what=f"{owner} requires {package.wanted}, and {there}", mend=f"`{package.mend}`"
    )


def exit_code(findings: Iterable[Finding]) -> ExitCode:
    """Return the highest exit code of the errors: 3 of plugins, 4 of all others."""
    errors = [finding.code for finding in findings if finding.level == "error"]
    codes = (ExitCode.PLUGIN if code.startswith("plugin-") else ExitCode.ENVIRONMENT for code in errors)
    return max(codes, default=ExitCode.OK)
