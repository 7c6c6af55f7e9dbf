"""`steermoe doctor`: diagnose this machine and print the commands that fix it.

The exit code is 3 if a plugin is broken, 4 if the machine lacks something, and 0 if there are only warnings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from steermoe_core.cli.shared.flags import add_runs
from steermoe_core.system.printing import say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator, Mapping, Sequence

    from steermoe_core.cli.shared.session import Session
    from steermoe_core.doctor.finding import Finding
    from steermoe_core.doctor.machine import Machine

_STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument(
        "--deep",
        action="store_true",
        help="also import torch and the packages around it, in a separate process",
    )
    parser.set_defaults(refresh=True)  # examine plugins again
    add_runs(parser)
    parser.add_argument("--json", action="store_true", help="print the facts and findings as JSON")


def run(args: Namespace, session: Session) -> int:
    """Examine plugins, packages, machine and runs; print the facts, then the findings, most severe first."""
    from steermoe_core.doctor import machine, packages, plugins, runs
    from steermoe_core.doctor.finding import exit_code
    from steermoe_core.system.records import plain

    versions, hardware = packages.facts(), machine.facts(args.runs)
    states = {plugin.name: plugin.status for plugin in session.registry.plugins}
    found = [
        *plugins.plugins(session.registry),
        *packages.packages(),
        *machine.machine(hardware, versions["torch"]),
        *runs.runs(args.runs),
    ]
    cuda, failed = packages.imports() if args.deep else (None, [])
    found = sorted([*found, *failed], key=lambda finding: list(_STYLES).index(finding.level))
    code = int(exit_code(found))
    if args.json:
        facts = {**versions, **plain(hardware), "plugins": states}
        facts |= {"cuda": cuda} if args.deep else {}
        say_json({"exit_code": code, "facts": facts, "findings": found})
        return code
    show = session.console.print
    for line in _facts(versions, hardware, list(states.values()), cuda):
        show(line, soft_wrap=True)
    for finding in found:
        show(f"\n{finding.level}: {finding.what}", style=_STYLES[finding.level], soft_wrap=True)
        if finding.where:
            show(f"  where: {finding.where}", soft_wrap=True)
        show(f"  fix: {finding.mend}", soft_wrap=True)
    show(f"\n{_count(found)}")
    return code


def _facts(
    versions: Mapping[str, str | None], hardware: Machine, states: Sequence[str], cuda: str | None
) -> Iterator[str]:
    from steermoe_core.doctor.packages import SHOWN

    yield f"python {versions['python']}: {versions['executable']}"
    yield ", ".join(f"{name} {versions[name] or 'is not installed'}" for name in ("steermoe", *SHOWN))
    threads = f", OMP_NUM_THREADS {hardware.threads}" if hardware.threads else ""
    yield f"gpu {cuda or hardware.gpu or 'none'}; {hardware.cores} cores{threads}"
    for name, folder in (("cache", hardware.cache), ("runs", hardware.runs)):
        yield f"{name} {folder.path}: {folder.free / 1e9:.1f} GB free"
    yield f"sound libsndfile {hardware.sound.libsndfile or 'none'}: {', '.join(hardware.sound.formats)}"
    yield "plugins " + ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))


def _count(found: list[Finding]) -> str:
    levels = [finding.level for finding in found]
    counts = [(level, levels.count(level)) for level in dict.fromkeys(levels)]
    return ", ".join(f"{n} {level}{'' if n == 1 else 's'}" for level, n in counts) or "no problems found"
