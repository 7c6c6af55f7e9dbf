"""`python -m steermoe_pocket.scenes FOLDER`: write the sound scenes in Clotho-AQA's layout."""

# ruff: noqa: T201  # printing is what the command does

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from steermoe_core.errors import SteermoeError, UsageError
from steermoe_pocket.scenes import folder


def main(argv: list[str] | None = None) -> int:
    """Write the scenes, say how many, and return an exit code."""
    parser = argparse.ArgumentParser(prog="python -m steermoe_pocket.scenes", description=__doc__)
    parser.add_argument("folder", type=Path, help="a new or empty folder")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other scenes (%(default)s)")
    wanted = parser.parse_args(argv)
    try:
        _write(wanted.folder, wanted.seed)
    except SteermoeError as error:
        print(f"steermoe_pocket.scenes: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{sum(folder.SIZES.values())} clips in {wanted.folder}")
    return 0


def _write(place: Path, seed: int) -> None:
    if place.exists() and any(place.iterdir()):
        msg = f"{place} is not empty; name a new folder"
        raise UsageError(msg)
    folder.write(place, seed)


if __name__ == "__main__":
    sys.exit(main())
