"""Beside any broken plugin, every command keeps its promises; the documentation shows the same table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.commands import COMMANDS
from tests.conftest import ROOT
from tests.kinds import KINDS
from tests.matrix import CALLS, REPORTS, Row, bench, page, printed

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(900)  # `rows` is minutes on a busy machine


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Row]]:
    """Run everything once."""
    import torch

    torch.set_num_threads(1)
    with bench(tmp_path_factory.mktemp("matrix")) as made:
        found = {kind.name: made.row(kind) for kind in KINDS}
    print(*printed(found), sep="\n")  # noqa: T201 - seen with pytest -s
    return found


def test_every_command_is_in_the_matrix() -> None:
    """A new command has to say how it is called, without need of a plugin and with it."""
    assert {*CALLS, *REPORTS} == set(COMMANDS)


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_every_command_beside(kind: str, rows: dict[str, Row]) -> None:
    """What does not need the plugin is not moved by it; what does stops with 3, the reason and the place."""
    assert [fault for cell in rows[kind].cells.values() for fault in cell.faults] == []


def test_the_page_holds_the_matrix(rows: dict[str, Row]) -> None:
    """The committed page equals what was just measured."""
    written = (ROOT / "docs" / "reference" / "quarantine.md").read_text(encoding="utf-8")

    assert written == page(rows), "renew it: python -m tests.matrix --page > docs/reference/quarantine.md"
