"""The reference of the conformance kit, written from the docstrings of its checks.

``python -m docs.generate.conformance > docs/reference/conformance.md`` renews the page.
"""

from __future__ import annotations

import sys
from inspect import cleandoc
from typing import TYPE_CHECKING

from steermoe_core.component import COMMAND, KINDS
from steermoe_core.testing.runner import suite_class
from steermoe_core.testing.suite import AnySuite, Suite, checks

if TYPE_CHECKING:
    from collections.abc import Mapping

_INTRODUCTION = """\
# Conformance

This page is generated: `python -m docs.generate.conformance > docs/reference/conformance.md`.

What every part of a kind promises is checked by one test suite a kind. A plugin has them among its tests:

```python steermoe-my/tests/test_conformance.py
from steermoe_core.testing import EncoderSuite


class TestMyEncoder(EncoderSuite):
    component = "my-encoder"  # what `use = "…"` says; the plugin has to be installed
    settings = {"layers": 2}  # as an experiment has them, and as small as can be
```

pytest runs them like any other tests. Where settings need files, `settings` is a method: it is given an empty
folder, writes what it needs and returns the settings.

```python steermoe-my/tests/test_weights.py
from steermoe_core.testing import EncoderSuite


class TestMyOtherEncoder(EncoderSuite):
    component = "my-other-encoder"

    def settings(self, folder):
        (folder / "weights.txt").write_text("0.5")
        return {"weights": str(folder)}
```

The same checks run from the shell, without pytest. All that a distribution offers is checked with its default
settings; `--set KEY=VALUE` gives others to every part that has such a key, `--only KIND NAME` checks one.

```console
$ steermoe check-plugin steermoe-linear
router linear …
found            ok
…
14 checks, 0 failed, 0 skipped
$ steermoe check-plugin steermoe-linear --only router linear --set jitter=0.1 --json
{
  "distribution": "steermoe-linear",
…
```

Exit codes: 0 all is well, 1 a check failed, 2 nothing of that name is installed, 3 the plugin is quarantined.
A check that builds on one that failed is skipped, so that one mistake is told once. A suite takes a few
seconds on a CPU; nothing is fetched.
"""


def reference() -> str:
    """Return the page."""
    parts = [_INTRODUCTION, "## Every kind", _table(checks(Suite))]
    for kind in (*KINDS, COMMAND):
        suite = suite_class(kind)
        own = {name: text for name, text in checks(suite).items() if name not in checks(Suite)}
        parts += [f"## {kind.capitalize()}: `{suite.__name__}`", _about(suite), _table(own)]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _about(suite: type[AnySuite]) -> str:
    """Return what the suite's own docstring says, its class variables as a list."""
    text, _, variables = cleandoc(suite.__doc__ or "").partition("\n:cvar ")
    names = [one.partition(":") for one in f"{variables}".split("\n:cvar ") if one]
    listed = [f"* `{name}`: {' '.join(meaning.split())}" for name, _, meaning in names]
    return "\n\n".join([" ".join(text.split()), "\n".join(listed)]).strip()


def _table(found: Mapping[str, str]) -> str:
    rows = [f"| `{name}` | {text.rstrip('.')} |" for name, text in found.items()]
    return "\n".join(["| check | what must hold |", "| --- | --- |", *rows])


if __name__ == "__main__":
    sys.stdout.write(reference())
