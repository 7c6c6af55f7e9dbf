"""Every kind of wrong file, and the exact text that a user reads.

``STEERMOE_GOLDENS=write python -m pytest tests/config/test_goldens.py`` renews the texts; read the diff.
Lines ``#! KEY=VALUE`` in a file are its `--set` flags.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from steermoe_core.config.check.packages import missing_packages
from steermoe_core.config.resolve import problem_error, resolve
from steermoe_core.config.sweep import resolve_sweep
from steermoe_core.config.text.problems import CODES
from steermoe_core.errors import ConfigError, PluginError

HERE = Path(__file__).parent / "goldens"
NAMES = sorted({path.stem for path in HERE.iterdir() if path.is_file()} | {"no-such-file"})
NAMES.remove("cycle-back")
RENEW = os.environ.get("STEERMOE_GOLDENS") == "write"


def packages(path: Path, flags: list[str], registry):
    """Resolve an experiment, and look for what its components need."""
    raise problem_error(missing_packages([resolve(path, flags, registry)], registry))


def flags(path: Path) -> list[str]:
    """Return the flags that a file asks for."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    return re.findall(r"^#! (.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_file_reads_exactly_like_this(name, registry, monkeypatch):
    """Place, sentence, line, caret and hint, to the letter."""
    monkeypatch.chdir(HERE)
    path = Path(f"{name}.toml")
    read = packages if name == "packages" else resolve_sweep if name.startswith("sweep-") else resolve
    with pytest.raises((ConfigError, PluginError)) as caught:
        read(path, flags(path), registry)
    text = f"{caught.value}\nexit code {int(caught.value.exit_code)}\n"
    golden = HERE / f"{name}.txt"
    if RENEW:
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_every_code_has_a_golden():
    """No code without a file that provokes it, and none that the table does not know."""
    texts = "".join(path.read_text(encoding="utf-8") for path in HERE.glob("*.txt"))
    assert set(re.findall(r"error\[(E\d+)\]", texts)) == set(CODES)
