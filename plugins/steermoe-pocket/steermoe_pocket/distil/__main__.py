"""The command line of the distillation."""

from __future__ import annotations

import sys

from steermoe_core.errors import SteermoeError
from steermoe_pocket.distil.settings import parse


def main(argv: list[str] | None = None) -> int:
    """Train, write the weights, and return an exit code."""
    command = parse(argv)
    from steermoe_pocket.distil.export import export  # seconds to import
    from steermoe_pocket.distil.training import Training

    try:
        training = Training(command)
        if not command.export:
            training.run()
        export(training, command.out)
    except SteermoeError as error:
        print(f"steermoe_pocket.distil: {error}", file=sys.stderr)  # noqa: T201  # a command's message
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
