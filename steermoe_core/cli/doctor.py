"""`steermoe doctor`: diagnose this machine and print the commands that fix it.

The exit code is 3 if a plugin is broken, 4 if the machine lacks something, and 0 if there are only warnings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steermoe_core.cli.shared.flags import add_runs
from steermoe_core.system.printing import say_json

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator, Mapping

    from steermoe_core.cli.shared.session import Session
    from steermoe_core.doctor.finding import Finding

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

    facts = {**packages.facts(), **machine.facts(args.runs)}
    facts["plugins"] = {plugin.name: plugin.status for plugin in session.registry.plugins}
    found = [
        *plugins.plugins(session.registry),
        *packages.packages(),
        *machine.machine(facts, facts["torch"]),
        *runs.runs(args.runs),
    ]
    if args.deep:
        seen, failed = packages.imports()
        facts, found = {**facts, **seen}, [*found, *failed]
    found.sort(key=lambda finding: list(_STYLES).index(finding.level))
    code = int(exit_code(found))
    if args.json:
        findings = [finding.as_dict() for finding in found]
        say_json({"exit_code": code, "facts": facts, "findings": findings})
    else:
        _show(facts, found, session)
    return code


def _show(facts: Mapping[str, Any], found: list[Finding], session: Session) -> None:
    show = session.console.print
    for line in _facts(facts):
        show(line, soft_wrap=True)
    for finding in found:
        show(f"\n{finding.level}: {finding.what}", style=_STYLES[finding.level], soft_wrap=True)
        if finding.where:
            show(f"  where: {finding.where}", soft_wrap=True)
        show(f"  fix: {finding.mend}", soft_wrap=True)
    show(f"\n{_count(found)}")


def _facts(facts: Mapping[str, Any]) -> Iterator[str]:
    from steermoe_core.doctor.packages import SHOWN

    yield f"python {facts['python']}: {facts['executable']}"
    yield ", ".join(f"{name} {facts[name] or 'is not installed'}" for name in ("steermoe", *SHOWN))
    threads = f", OMP_NUM_THREADS {facts['threads']}" if facts["threads"] else ""
    yield f"gpu {facts.get('cuda') or facts['gpu'] or 'none'}; {facts['cores']} cores{threads}"
    for name in ("cache", "runs"):
        yield f"{name} {facts[name]['path']}: {facts[name]['free'] / 1e9:.1f} GB free"
    sound = facts["sound"]
    yield f"sound libsndfile {sound['libsndfile'] or 'none'}: {', '.join(sound['formats'])}"
    states = list(facts["plugins"].values())
    yield "plugins " + ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))


def _count(found: list[Finding]) -> str:
    levels = [finding.level for finding in found]
    counts = [(level, levels.count(level)) for level in dict.fromkeys(levels)]
    return ", ".join(f"{n} {level}{'' if n == 1 else 's'}" for level, n in counts) or "no problems found"
