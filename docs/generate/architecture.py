"""The page about the architecture, with one line a package and module, written from their docstrings.

``python -m docs.generate.architecture > docs/explanation/architecture.md`` renews the page.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import tomli

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).parents[2]
_CORE = _ROOT / "steermoe_core"

_PAGE = """\
# Where is what

This page is generated: `python -m docs.generate.architecture > docs/explanation/architecture.md`. It is for
people who read the code of the engine. You need none of it to use steermoe or to write a plugin.

## The repository

| folder | content |
| --- | --- |
| `steermoe_core/` | the engine; it names no encoder, adapter or other variant |
| `plugins/` | one distribution per folder, with its own tests |
| `experiments/` | experiments that run on a laptop CPU; `paper/` contains the full-size ones |
| `tests/` | mirrors `steermoe_core` |
| `docs/` | tutorials, how-to guides, explanation, reference; `generate/` writes the generated pages |

## The packages of `steermoe_core`

Each package answers one question. They are listed from the bottom layer to the top. A module imports only
from its own package and from those above it in this list; `lint-imports` checks this.

{packages}
## From a TOML file to a score

| step | from | to | code |
| --- | --- | --- | --- |
| read | `experiment.toml` | `Experiment`, checked, with every default | `steermoe_core/config/resolve.py` |
| preview | `Experiment` | shapes, parameters, memory, data | `steermoe_core/run/preview/plan.py` |
| build | `Experiment` | model, data, collator, metrics, callbacks | `steermoe_core/run/assembly/builder.py` |
| train | model and data | trained tensors, checkpoints | `steermoe_core/run/training/training.py` |
| evaluate | trained model | predictions and scores of each split | `steermoe_core/run/scoring/split.py` |
| report | run folder | one HTML page | `steermoe_core/report/page.py` |

`steermoe_core/run/execute.py` builds, trains and evaluates. Every step writes to the run folder through
`steermoe_core/run/folder/`, and everything that reads a run folder uses the same code.

## From a waveform to a loss

```text
waveform
  encoder.features       features (B, T, F)
  encoder, adapter       frames (B, T', D); steering taps each layer
  projector              audio tokens (B, A, H)
  collator               [ text | audio | text | answer EOS ]
  decoder                logits; the loss covers the answer only
```

Padded values and their lengths travel together as one `Padded`; no step drops the lengths.
`steermoe_core/model/joined.py` is this path in code, and `steermoe_core/model/steering.py` contains the
mathematics of steering.

## Every module

Search this list for what you want to change. `tests/` has a file of the same name for most modules;
`tests/test_mirror.py` names the test file of each of the others.

{modules}"""


def reference() -> str:
    """Return the page as Markdown."""
    return _PAGE.format(
        packages="".join(f"{line}\n" for line in _packages()),
        modules="".join(f"{line}\n" for line in _modules()),
    )


def _packages() -> Iterator[str]:
    """Yield a list item for each package, lowest layer first, each followed by its subpackages."""
    project = tomli.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    for name in re.findall(r"steermoe_core\.(\w+)", "\n".join(reversed(layers))):
        folder = _CORE / name
        if folder.is_dir():
            yield f"* `{name}/`: {_line(folder)}"
            for inner in sorted(folder.glob("*/__init__.py")):
                yield f"    * `{name}/{inner.parent.name}/`: {_line(inner.parent)}"
        else:
            yield f"* `{name}.py`: {_line(folder.with_suffix('.py'))}"


def _modules() -> Iterator[str]:
    """Yield a list item for each module, by path."""
    for file in sorted(_CORE.rglob("*.py")):
        if file.name != "__init__.py":
            yield f"* `{file.relative_to(_ROOT).as_posix()}`: {_line(file)}"


def _line(module: Path) -> str:
    """Return the first line of a module's docstring."""
    file = module / "__init__.py" if module.is_dir() else module
    first = str(ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))).partition("\n")[0]
    return first.replace("<", "&lt;")


if __name__ == "__main__":
    sys.stdout.write(reference())
