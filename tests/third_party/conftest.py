"""The plugins' own tests run where they are installed: `test_third_party.py` starts them."""

from __future__ import annotations

collect_ignore_glob = ["steermoe-*"]
