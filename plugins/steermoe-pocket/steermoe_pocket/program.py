"""Programs that the lab calls: apt-get, npm, flite."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from steermoe_core.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def call(
    command: Sequence[str],
    failure: str,
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a program to its end, without showing what it prints.

    :param failure: beginning of the message if it is missing or fails; its reason follows.
    :param folder: where it runs.
    :raises SetupError: it is missing or failed.
    """
    try:
        subprocess.run(  # noqa: S603
            command, cwd=folder, env=environment, check=True, capture_output=True, text=True
        )
    except FileNotFoundError:
        reason = f"there is no {command[0]}"
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines()
        reason = lines[-1] if lines else f"{command[0]} ended with code {error.returncode}"
    else:
        return
    msg = f"{failure}: {reason}"
    raise SetupError(msg)
