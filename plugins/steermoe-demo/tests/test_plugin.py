"""The plugin's record, and how cheap it is to read: the page is imported when the command runs."""

from __future__ import annotations

import subprocess
import sys

import steermoe_demo
from steermoe_demo import command


def test_offers_one_command() -> None:
    """Its code is the module of the command."""
    (record,) = steermoe_demo.steermoe_commands()

    assert (record.name, record.code) == ("demo", command.__name__)


def test_the_record_and_the_flags_need_no_page() -> None:
    """Listing and `--help` import neither torch nor gradio."""
    code = (
        "import sys, argparse, steermoe_demo.command as c; c.add_arguments(argparse.ArgumentParser());"
        "print({'torch', 'gradio', 'numpy', 'uvicorn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
