"""The plugin's record, and how cheap it is to read: the server is imported when the command runs."""

from __future__ import annotations

import subprocess
import sys

import steermoe_serve
from steermoe_serve import command


def test_offers_one_command() -> None:
    """Its code is the module of the command."""
    (record,) = steermoe_serve.steermoe_commands()

    assert (record.name, record.code) == ("serve", command.__name__)


def test_the_record_and_the_flags_need_no_server() -> None:
    """Listing and `--help` import neither torch nor starlette."""
    code = (
        "import sys, argparse, steermoe_serve.command as c; c.add_arguments(argparse.ArgumentParser());"
        "print({'torch', 'starlette', 'uvicorn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
