"""`python -m steermoe_core` is the command `steermoe`."""

from __future__ import annotations

import sys

from steermoe_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
