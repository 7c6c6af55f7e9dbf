"""Python and the packages that steermoe requires, by their metadata; only `imports` imports any."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from importlib import metadata
from typing import TYPE_CHECKING

from steermoe_core.doctor.finding import Finding, requirement
from steermoe_core.plugins.plugin import ENGINE
from steermoe_core.plugins.requirements import unmet

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What needs each extra of steermoe; `test` is for work on steermoe itself.
NEEDED_BY = {
    "av": "`steermoe transcribe` of m4a, mp4 and webm files",
    "deepspeed": "`steermoe launch` and [train.deepspeed]",
    "gguf": "decoder weights in a .gguf file",
    "nf4": 'quantise = "nf4" of a decoder',
    "vad": "`steermoe transcribe --vad`",
    "whisper-en": 'normalise = "whisper-en" or "open-asr" of a metric',
}
#: Packages shown among the facts, and imported by `imports`.
SHOWN = ("torch", "transformers", "datasets", "accelerate")
_PROBE = """
import importlib, json, sys, warnings
warnings.simplefilter("ignore")
found = {"failed": {}, "cuda": None}
for name in sys.argv[1:]:
    try:
        module = importlib.import_module(name)
        if name == "torch" and module.cuda.is_available():
            found["cuda"] = module.cuda.get_device_name(0)
    except Exception as error:
        found["failed"][name] = f"{type(error).__name__}: {error}".partition("\\n")[0]
print(json.dumps(found))
"""


def facts() -> dict[str, str | None]:
    """Return the versions of Python and of the most important packages; None for what is not installed."""
    versions = {name: _version(name) for name in (ENGINE, *SHOWN)}
    return {"python": platform.python_version(), "executable": sys.executable, **versions}


def packages() -> Iterator[Finding]:
    """Yield what is missing or of a version that steermoe does not work with."""
    yield from _python()
    for one in unmet(ENGINE):
        if one.extra is None:
            yield requirement("package-requirement", "steermoe", one)
        elif one.extra in NEEDED_BY:
            there = (
                f"is of version {one.installed}, not {one.wanted}" if one.installed else "is not installed"
            )
            yield Finding(
                code="package-optional",
                what=f"{one.package} {there}; {NEEDED_BY[one.extra]} needs it",
                mend=f"`{one.mend}`",
            )


def imports() -> tuple[str | None, list[Finding]]:
    """Import the heavy packages in another process; return the GPU that torch uses, and what failed."""
    command = [sys.executable, "-c", _PROBE, *SHOWN]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)  # noqa: S603 - our own code
    try:
        found = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):  # a library ended the process
        reason = f"the process that imported them ended with code {done.returncode}"
        found = {"failed": dict.fromkeys(SHOWN[:1], reason), "cuda": None}
    failures = [
        Finding(
            code="package-broken",
            what=f"{name} cannot be imported: {error}",
            mend=f"`pip install --force-reinstall {name}`",
        )
        for name, error in found["failed"].items()
    ]
    return found["cuda"], failures


def _python() -> Iterator[Finding]:
    from packaging.specifiers import SpecifierSet

    stated = metadata.metadata(ENGINE) if _version(ENGINE) else None
    wanted = stated["Requires-Python"] if stated is not None and "Requires-Python" in stated else None
    if wanted and not SpecifierSet(wanted).contains(platform.python_version(), prereleases=True):
        yield Finding(
            code="python-version",
            what=f"steermoe requires Python {wanted}, and this is {platform.python_version()}",
            mend="make an environment with another Python: `make setup PYTHON=python3.11`",
        )


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
