"""`tests/` mirrors the code: a module has a test file of its own name, or a line here that names one."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import LONG

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
CORE, TESTS = ROOT / "steermoe_core", ROOT / "tests"

#: The test file, in `tests/`, of each module of `steermoe_core` that has none of its own name.
TESTED_BY = {
    "__init__.py": "test_public_api.py",
    "__main__.py": "test_main.py",
    "errors.py": "cli/test_main.py",
    "hookspecs.py": "test_contract.py",
    "cli/commands.py": "cli/test_main.py",
    "cli/push.py": "run/folder/test_hub.py",
    "cli/schema.py": "config/describe/test_schema.py",
    "cli/shared/batch.py": "cli/test_sweep.py",
    "cli/work.py": "study/test_begun.py",
    "cli/shared/completing.py": "cli/test_completion.py",
    "cli/shared/progress.py": "cli/test_sweep.py",
    "cli/shared/routing_tables.py": "cli/test_routing.py",
    "config/check/catalogue.py": "config/check/test_capabilities.py",
    "config/check/contradictions.py": "config/test_goldens.py",
    "config/check/faults.py": "config/check/test_strict.py",
    "config/check/packages.py": "cli/test_check.py",
    "config/check/structurer.py": "config/check/test_strict.py",
    "config/check/test_splits.py": "data/test_usable.py",
    "config/describe/example.py": "cli/test_describe.py",
    "config/describe/keys.py": "cli/test_completion.py",
    "config/experiment.py": "config/test_effects.py",
    "config/fields.py": "config/test_types.py",
    "config/limits.py": "config/describe/test_documentation.py",
    "config/naming.py": "config/test_resolve.py",
    "config/origins.py": "config/test_resolve.py",
    "config/text/axes.py": "config/test_sweep.py",
    "config/text/layers.py": "config/test_resolve.py",
    "config/text/source.py": "config/text/test_syntax.py",
    "data/audio/containers.py": "data/audio/test_recordings.py",
    "data/audio/features.py": "run/training/test_frames.py",
    "data/collator.py": "data/test_collators.py",
    "data/example.py": "data/test_bad_input.py",
    "data/index_rows.py": "data/test_index.py",
    "data/sources/audio_columns.py": "data/sources/test_tables.py",
    "data/sources/keys.py": "data/sources/test_jsonl.py",
    "data/sources/rows.py": "data/sources/test_tables.py",
    "data/sources/token_ids.py": "data/sources/test_tables.py",
    "doctor/finding.py": "cli/test_doctor.py",
    "evaluate/config.py": "evaluate/test_rules.py",
    "evaluate/scores.py": "evaluate/test_evaluation.py",
    "model/adapter.py": "model/test_adapters.py",
    "model/inheritance.py": "model/test_projectors.py",
    "model/cache.py": "model/test_recompute.py",
    "model/config.py": "config/test_effects.py",
    "plugins/__init__.py": "plugins/test_registry.py",
    "plugins/builtin.py": "testing/test_builtin.py",
    "plugins/discovery.py": "plugins/test_registry.py",
    "plugins/loading.py": "plugins/test_registry.py",
    "plugins/plugin.py": "plugins/test_probe.py",
    "plugins/requirements.py": "doctor/test_packages.py",
    "report/comparison.py": "report/test_page.py",
    "report/lengths.py": "report/test_page.py",
    "report/overview.py": "report/test_page.py",
    "report/routing.py": "report/test_page.py",
    "report/runs.py": "report/test_page.py",
    "report/scores.py": "report/test_page.py",
    "report/section.py": "report/test_page.py",
    "report/surroundings.py": "report/test_page.py",
    "report/training.py": "report/test_page.py",
    "run/__init__.py": "scripting/test_run.py",
    "run/assembly/from_adapter.py": "run/test_brought.py",
    "run/assembly/trained.py": "cli/test_transcribe.py",
    "run/folder/records.py": "run/folder/test_run_folder.py",
    "run/cost/batch.py": "run/cost/test_trace.py",
    "run/cost/parts.py": "run/cost/test_trace.py",
    "run/cost/recording.py": "run/cost/test_trace.py",
    "run/preview/memory.py": "run/preview/test_plan.py",
    "run/preview/overlap.py": "run/preview/test_data.py",
    "run/preview/shapes.py": "run/preview/test_plan.py",
    "run/scoring/evaluate.py": "cli/test_evaluate.py",
    "run/training/training.py": "run/test_execute.py",
    "run/training/watch.py": "run/test_signals.py",
    "scaffold/templates.py": "cli/test_new_plugin.py",
    "scripting/execute.py": "scripting/test_run.py",
    "scripting/process.py": "scripting/test_run.py",
    "study/rank.py": "study/test_launch.py",
    "study/rescore.py": "cli/test_evaluate_from_predictions.py",
    "study/seeds.py": "study/test_table.py",
    "study/sweep.py": "cli/test_sweep.py",
    "system/terminal.py": "system/test_printing.py",
    "testing/__init__.py": "testing/test_suites.py",
    "testing/adapters.py": "testing/test_suites.py",
    "testing/augmentations.py": "testing/test_suites.py",
    "testing/launchers.py": "testing/test_suites.py",
    "testing/callbacks.py": "testing/test_suites.py",
    "testing/collators.py": "testing/test_suites.py",
    "testing/config.py": "testing/test_suites.py",
    "testing/datasets.py": "testing/test_suites.py",
    "testing/decoders.py": "testing/test_suites.py",
    "testing/encoders.py": "testing/test_suites.py",
    "testing/metrics.py": "testing/test_suites.py",
    "testing/modules.py": "testing/test_suites.py",
    "testing/parts.py": "testing/test_suites.py",
    "testing/projectors.py": "testing/test_suites.py",
    "testing/routers.py": "testing/test_suites.py",
    "testing/runner.py": "testing/test_in_pytest.py",
    "testing/suite.py": "testing/test_suites.py",
    "testing/tables.py": "cli/test_new_plugin.py",
    "testing/taps.py": "testing/test_suites.py",
    "testing/tiny.py": "testing/test_suites.py",
    "testing/weights.py": "testing/test_suites.py",
    "train/analysis.py": "train/test_callbacks.py",
    "train/config.py": "train/test_callbacks.py",
    "train/first_gradients.py": "train/test_gradients.py",
    "train/zero.py": "train/test_deepspeed.py",
    "use/card.py": "run/folder/test_hub.py",
    "use/metadata.py": "run/folder/test_hub.py",
    "use/pretrained.py": "run/folder/test_hub.py",
}


def modules(package: Path) -> list[str]:
    """Return the modules below a package by path, without those that only hold a docstring."""
    return sorted(
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if len(ast.parse(path.read_text(encoding="utf-8")).body) > 1
    )


def named(module: str) -> str:
    """Return the test file of a module's own name."""
    path = Path(module)
    return path.with_name(f"test_{path.name}").as_posix()


def test_every_module_has_a_test_file() -> None:
    """Of its own name, or by a line in `TESTED_BY`; a line that is not needed is not there."""
    without = [one for one in modules(CORE) if not (TESTS / named(one)).is_file()]

    assert [one for one in without if one not in TESTED_BY] == [], "write the test, or a line in TESTED_BY"
    assert [one for one in TESTED_BY if one not in without] == [], "remove the line from TESTED_BY"


@pytest.mark.parametrize(("module", "test"), TESTED_BY.items())
def test_a_line_is_true(module: str, test: str) -> None:
    """The test file is there and reaches the module through imports."""
    assert CORE / module in reached(TESTS / test), f"{test} does not reach {module}"


@pytest.mark.parametrize("package", sorted(ROOT.glob("plugins/*/steermoe_*")), ids=lambda path: path.name)
def test_every_module_of_a_plugin_is_tested(package: Path) -> None:
    """The tests beside its code reach it."""
    tests = package.parent.glob("tests/test_*.py")
    found = {path for test in tests for path in reached(test)}

    assert [one for one in modules(package) if package / one not in found] == []


def test_long_files_exist() -> None:
    """Those that start first."""
    assert [name for name in LONG if not (ROOT / name).is_file()] == []


@cache
def reached(test: Path) -> set[Path]:
    """Return the files that a test file imports, and those that they import."""
    found, new = set(), [test, *(folder / "conftest.py" for folder in test.parents if folder != ROOT)]
    while new:
        path = new.pop()
        if path not in found and path.is_file():
            found.add(path)
            new += imported(path)
    return found


@cache
def imported(path: Path) -> list[Path]:
    """Return the files of this repository that a file names: in imports, or in texts such as factories."""
    # A lazy package imports its public names for type checkers only.
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [file for name in names(tree, lazy=path.name == "__init__.py") for file in FILES.get(name, ())]


def names(node: ast.AST, *, lazy: bool) -> Iterator[str]:
    """Yield the dotted names that code imports or has in texts.

    :param lazy: imports that only type checkers see count.
    """
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not lazy:
        return
    if isinstance(node, ast.Import):
        yield from (one.name for one in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield str(node.module)
        yield from (f"{node.module}.{one.name}" for one in node.names)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from re.findall(r"\b(?:steermoe_\w+|tests)(?:\.\w+)*\.?", node.value)
    for child in ast.iter_child_nodes(node):
        yield from names(child, lazy=lazy)


def files() -> dict[str, list[Path]]:
    """Return the files by dotted name; a name that ends with a dot is that of all modules of a package."""
    found = defaultdict(list)
    for root in (ROOT, *ROOT.glob("plugins/*")):
        for package in [*root.glob("steermoe_*"), *root.glob("tests")]:
            for path in package.rglob("*.py"):
                parts = path.relative_to(root).with_suffix("").parts
                found[".".join(parts)].append(path)
                found[".".join((*parts[:-1], ""))].append(path)
                if parts[-1] in ("__init__", "__main__"):
                    found[".".join(parts[:-1])].append(path)
    return found


FILES = files()
