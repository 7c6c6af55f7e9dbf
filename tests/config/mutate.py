"""Damaged experiment files by the thousand, and how many of them a check refuses, accepts or gets wrong.

``python -m tests.config.mutate --count 10000 --seed 1`` prints what came of each, by the standard of
`tests.config.judge`; ``--show NUMBER`` prints one of the cases. The exit code is 1 if any was got wrong.
"""

from __future__ import annotations

import argparse
import re
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import attrs

from steermoe_core.config.sweep import resolve_sweep
from steermoe_core.errors import ConfigError, PluginError
from tests.config.cases import Case, case
from tests.config.judge import GOOD, inside, verdict

#: Bytes that all may take together.
_MEMORY = 2**31
_VARYING = re.compile(r"(?<![E0-9])[0-9]+|0x..|'[^']*'|\"[^\"]*\"")


@attrs.define
class Tally:
    """What came of many cases."""

    outcomes: Counter = attrs.field(factory=Counter)
    failures: list[tuple[int, str, str, list[str]]] = attrs.field(factory=list)


def tally(seed: int, wanted, folder: Path, registry, seconds: int = 0) -> Tally:
    """Check the cases of these numbers."""
    found = Tally()
    for number in wanted:
        one = case(seed, number)
        outcome, detail = verdict(one, folder, registry, seconds)
        found.outcomes[outcome] += 1
        if outcome not in GOOD:
            found.failures.append((number, outcome, detail, one.damages))
    return found


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.config.mutate", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, metavar="NUMBER", help="print one case and what a check says")
    parser.add_argument(
        "--examples", type=int, default=3, metavar="N", help="examples of each cause (default 3)"
    )
    args = parser.parse_args()
    from steermoe_core.plugins import load_registry

    registry = load_registry()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))  # a file without an end is a finding, too
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder).resolve() / "case"
        if args.show is not None:
            return _show(case(args.seed, args.show), home, registry)
        start = time.perf_counter()
        found = tally(args.seed, range(args.count), home, registry, seconds=3)
    for outcome, count in found.outcomes.most_common():
        print(f"{count:7} {outcome}")
    causes: dict[tuple[str, str], list] = {}
    for number, outcome, detail, damages in found.failures:
        first, last = detail.partition(" ")[0], detail.rpartition(" ")[2]
        cause = first + last if outcome == "traceback" else _VARYING.sub("…", detail)[:60]
        causes.setdefault((outcome, cause), []).append((number, detail, damages))
    for (outcome, cause), cases in sorted(causes.items(), key=lambda item: -len(item[1])):
        print(f"\n{len(cases)} × {outcome}: {cause}")
        for number, detail, damages in cases[: args.examples]:
            print(f"    {number} ({', '.join(damages)}): {detail}")
    print(f"\n{args.count} cases in {time.perf_counter() - start:.0f} s")
    return int(bool(found.failures))


def _show(one: Case, home: Path, registry) -> int:
    print(", ".join(one.damages))
    for name, raw in one.files.items():
        print(f"== {name}\n{raw.decode('utf-8', 'backslashreplace')}")
    print("== flags", [flag[:200] for flag in one.flags])
    print("==", *verdict(one, home, registry, seconds=3))
    with inside(home / "here"):
        try:
            resolve_sweep(Path("experiment.toml"), one.flags, registry)
        except (ConfigError, PluginError) as error:
            print(str(error)[:6000])
        except Exception:  # noqa: BLE001 - it is what is asked for
            traceback.print_exc()
    return 0


if __name__ == "__main__":
    sys.exit(main())
