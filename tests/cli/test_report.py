"""`steermoe report`: where the page goes, what is printed, what is refused."""

from __future__ import annotations

import json
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from steermoe_core.cli.main import main
from tests.report.shelf import Shelf
from tests.rig import files, sentence

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """Return a place for runs, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    return Shelf(tmp_path)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what is shown in a browser."""
    pages: list[str] = []
    monkeypatch.setattr(webbrowser, "open", pages.append)
    return pages


def test_the_page_lies_in_the_run_folder(
    shelf: Shelf, capsys: pytest.CaptureFixture[str], opened: list[str]
) -> None:
    """Its path is printed; no browser where nobody looks on."""
    run = shelf.run()

    assert main(["report", str(run)]) == 0

    page = run / "report" / "index.html"
    assert capsys.readouterr().out == f"{page}\n"
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert opened == []


@pytest.mark.parametrize(
    ("words", "place"), [((), "report.html"), (("--out", "new/both.html"), "new/both.html")]
)
def test_several_runs_have_a_page_of_their_own(
    shelf: Shelf, words: tuple[str, ...], place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here, or where it is asked for."""
    assert main(["report", str(shelf.run()), str(shelf.run("second")), *words]) == 0

    assert capsys.readouterr().out == f"{place}\n"
    assert "2 runs side by side" in Path(place).read_text(encoding="utf-8")


def test_json_is_all_that_the_page_says(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    """And writes nothing."""
    run = shelf.run()
    before = files(shelf.place)

    assert main(["report", str(run), "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    scores = json.loads((run / "evaluations" / "dev" / "scores.json").read_text())
    (row,) = found["scores"]["tables"][0]["rows"]
    assert (row["value"], row["interval"]) == (
        scores["metrics"]["wer"]["value"],
        scores["metrics"]["wer"]["interval"],
    )
    assert found["clips"]["splits"][0]["worst"][0]["answers"][0]["pieces"]
    assert files(shelf.place) == before


@pytest.mark.parametrize(
    ("flag", "place", "shown"),
    [
        ("", "terminal with a screen", 1),
        ("", "terminal", 0),
        ("", "pipe with a screen", 0),
        ("yes", "pipe", 1),
        ("no", "terminal with a screen", 0),
    ],
)
def test_a_browser_shows_it_to_whoever_looks_on(
    shelf: Shelf, flag: str, place: str, shown: int, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person at a terminal with a screen, unless a flag says otherwise."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: place.startswith("terminal"))
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if place.endswith("screen"):
        monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")

    assert main(["report", str(shelf.run()), *(["--open", flag] if flag else [])]) == 0

    assert len(opened) == shown
    assert all(page.startswith("file:///") for page in opened)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (lambda run: [str(run.parent)], "is not a run folder: it has no experiment.toml"),
        (lambda run: [str(run), "--out", str(run)], "cannot be written to"),
        (lambda run: [str(run), "--open", "maybe"], "invalid choice: 'maybe'"),
    ],
)
def test_usage(
    shelf: Shelf,
    words: Callable[[Path], list[str]],
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One sentence, exit code 2."""
    assert main(["report", *words(shelf.run())]) == 2
    assert reason in sentence(capsys)


def test_a_missing_part_is_a_missing_part(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    """A run whose plugin is blocked can't be judged: exit code 3."""
    assert main(["report", str(shelf.run()), "--block", "whisper"]) == 3
    assert "whisper" in capsys.readouterr().err
