"""`python -m steermoe_core` is the command `steermoe`; a launcher starts each process of a run by it."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from steermoe_core.cli.main import main


def leave(code: int) -> NoReturn:
    """End the process; one of several ends at once.

    Threads of the process group may still want the interpreter while it is being taken down; Python ends
    such a thread in the middle of C++, which aborts the whole process after its work is done.
    """
    if "RANK" in os.environ:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    leave(main())
