"""`python -m steermoe_pocket.adapters RUN`: carry the adapter of a finished run in this package.

What is written is what `steermoe push` would put on the hub: the tensors, their identity, the model's part of
the experiment without a path, and a page with the run's data and scores. The tensors are rounded to fp16,
which halves their size.
"""

# ruff: noqa: T201  # printing is what the command does

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from safetensors.torch import load, save

from steermoe_core.errors import SteermoeError
from steermoe_core.plugins import load_registry
from steermoe_core.use.card import shared_files
from steermoe_pocket.adapters import HERE

LICENCE = "mit"
ABOUT = """\
Carried by steermoe-pocket, whose authors trained it; its licence is that of the package, MIT. It fits the
frozen models of the pocket lab and has learnt from the lab's speech: their licences, and whose voices these
are, stand in the package's README."""


def main(argv: list[str] | None = None) -> int:
    """Write the files of an adapter, say what there is, and return an exit code."""
    parser = argparse.ArgumentParser(prog="python -m steermoe_pocket.adapters", description=__doc__)
    parser.add_argument("run", type=Path, help="a finished run folder")
    parser.add_argument("--name", default="asr", help="last part of the adapter's name (%(default)s)")
    wanted = parser.parse_args(argv)
    try:
        files = shared_files(
            wanted.run, f"pocket/{wanted.name}", load_registry(), licence=LICENCE, about=ABOUT
        )
    except SteermoeError as error:
        print(f"steermoe_pocket: {error}", file=sys.stderr)
        return error.exit_code
    folder = HERE / wanted.name
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(_rounded(content) if name.endswith(".safetensors") else content)
        print(f"{(folder / name).stat().st_size:>12,} bytes  {folder / name}")
    return 0


def _rounded(content: bytes) -> bytes:
    """Return a safetensors file with its floating-point tensors in fp16."""
    tensors = load(content)
    return save({name: one.half() if one.is_floating_point() else one for name, one in tensors.items()})


if __name__ == "__main__":
    sys.exit(main())
