"""The files of a Hugging Face Space with the page."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core import SetupError, UsageError, distributions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core import Session

_HUB = "hub:"
_APP = '''"""A page to try {names}: the one of `steermoe demo`."""

import os

from steermoe_demo.server import demo

demo(
    {sources},
    host=os.environ.get("GRADIO_SERVER_NAME", "0.0.0.0"),
    port=int(os.environ.get("GRADIO_SERVER_PORT", "7860")),
)
'''
_README = """\
---
title: {title}
emoji: 🎧
colorFrom: blue
colorTo: gray
sdk: gradio
sdk_version: {gradio}
python_version: "{python}"
app_file: app.py
models: {models}
---

A page to try {names}: record or choose a file, then transcribe it or ask about it. Made with steermoe.
"""


def write(folder: Path, sources: Sequence[str], session: Session) -> None:
    """Write app.py, requirements.txt and README.md.

    :param sources: models on the hub, or of plugins.
    :raises UsageError: one is neither, or a file is there already.
    :raises SetupError: the hub did not give it, or the folder cannot be written.
    """
    if local := [source for source in sources if Path(source).exists()]:
        msg = (
            f"{local[0]} is on this machine only: upload it with `steermoe push {local[0]} OWNER/NAME`, then "
            f"give {_HUB}OWNER/NAME"
        )
        raise UsageError(msg)
    needed = {name for source in sources for name in distributions(source, session.registry)}
    names = [source.removeprefix(_HUB).partition("@")[0] for source in sources]
    on_hub = [name for name, source in zip(names, sources, strict=True) if source.startswith(_HUB)]
    files = {
        "app.py": _APP.format(names=", ".join(names), sources=json.dumps(sources)),
        "requirements.txt": "".join(
            f"{name}=={version(name)}\n" for name in sorted({*needed, "steermoe-demo"})
        ),
        "README.md": _README.format(
            title=json.dumps(names[0].rpartition("/")[2]),
            gradio=version("gradio"),
            python=f"{sys.version_info.major}.{sys.version_info.minor}",
            models=json.dumps(on_hub),
            names=", ".join(names),
        ),
    }
    if taken := [name for name in files if (folder / name).exists()]:
        msg = f"{folder / taken[0]} exists; choose another folder"
        raise UsageError(msg)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        msg = f"cannot write {folder} ({error.strerror or error})"
        raise SetupError(msg) from None
