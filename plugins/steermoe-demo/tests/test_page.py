"""What the buttons of the page do."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

import steermoe_core

pytest.importorskip("gradio", reason="gradio is not installed")
from steermoe_demo.page import Handlers, gr, page

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig


class Progress:
    """Keeps what gradio would show."""

    def __init__(self) -> None:
        self.shown: list[tuple[float | None, str]] = []

    def __call__(self, share: float | None, desc: str) -> None:
        self.shown.append((share, desc))


@pytest.fixture
def handlers(finished: Path) -> Handlers:
    """Return those of a page with two models, which are one here."""
    model = steermoe_core.load(finished, "cpu")
    return Handlers({"first": model, "second": model})


def test_models_side_by_side(rig: Rig, handlers: Handlers) -> None:
    """The panel of a model appears when it is done; progress names it and counts its seconds."""
    progress: Any = Progress()
    first, both = handlers.transcribe(str(rig.folder / "dev" / "001.wav"), progress)

    assert first[0]
    assert first[1] == ""
    assert [bool(panel) for panel in both] == [True, True]
    names = [text.partition(")")[0] for _, text in progress.shown]
    assert list(dict.fromkeys(names)) == ["first (1 of 2", "second (2 of 2"]
    assert progress.shown[0] == (0.0, "first (1 of 2)")
    share, text = progress.shown[-1]
    assert share == pytest.approx(1.0)
    assert re.fullmatch(r"second \(2 of 2\): (\d\.\d) of \1 s", text)


def test_questions(rig: Rig, handlers: Handlers) -> None:
    """Every model answers; an empty question is not asked."""
    sound, progress = str(rig.folder / "dev" / "001.wav"), Progress()

    *_, answers = handlers.ask(sound, "what is it ?", progress)
    (empty,) = handlers.ask(sound, "  ", progress)

    assert all("what is it ?" in panel for panel in answers)
    assert all("Write a question first" in panel for panel in empty)


def test_no_recording(handlers: Handlers) -> None:
    """Every panel says what to do."""
    (panels,) = handlers.transcribe(None, Progress())

    assert len(panels) == 2
    assert all("Choose a file or record one first" in panel for panel in panels)


def test_names_are_text() -> None:
    """A folder may have any name."""

    async def built() -> gr.Blocks:  # in a loop, else gradio leaves some open
        return page({"<b>": None})

    blocks = asyncio.run(built())

    titles = [str(one.value) for one in blocks.blocks.values() if "name" in (one.elem_classes or [])]
    assert titles == ["<h2>&lt;b&gt;</h2>"]
