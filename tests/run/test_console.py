"""What is said on stderr: bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import pytest
from rich.console import Console as RichConsole
from rich.progress import Task, TaskID

from steermoe_core.run import console as module
from steermoe_core.run.console import Console, PlainProgress, pace

if TYPE_CHECKING:
    from collections.abc import Iterator


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Put a clock in the place of the console's."""
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


class TestPlain:
    """Where stderr is no terminal."""

    def lines(self, clock: Clock, steps: int, seconds: float) -> list[str]:
        """Return what is said of so many steps of so many seconds."""
        said: list[str] = []
        progress = PlainProgress(said.append)
        progress.get_time = clock.monotonic
        with progress:
            task = progress.add_task("training", total=steps, note="")
            for step in range(1, steps + 1):
                clock.now += seconds
                progress.update(task, completed=step, note=f"loss {step}")
        return said

    def test_short_task_is_one_line(self, clock: Clock) -> None:
        """Only its end, with the time it took."""
        assert self.lines(clock, 20, 0.01) == ["training: 20 of 20, loss 20, in 0:00"]

    def test_long_steps_are_told_every_half_minute(self, clock: Clock) -> None:
        """With rate and time left."""
        said = self.lines(clock, 1000, 1.0)

        assert 1000 / 30 - 2 < len(said) < 1000 / 30 + 2
        assert said[1].startswith("training: 61 of 1000, loss 61, 1.0/s, 15:3")
        assert said[-1] == "training: 1000 of 1000, loss 1000, in 16:40"

    def test_a_tenth_is_told_after_five_seconds(self, clock: Clock) -> None:
        """A task of a minute has about ten lines."""
        assert 8 <= len(self.lines(clock, 60, 1.0)) <= 12

    def test_an_end_before_the_end_is_told(self, clock: Clock) -> None:
        """A task that stopped says how far it got; one that did not begin says nothing."""
        said: list[str] = []
        with PlainProgress(said.append) as progress:
            progress.add_task("idle", total=5, note="")
            progress.advance(progress.add_task("scoring dev", total=8, note=""), 2)

        assert said == ["scoring dev: 2 of 8"]

    def test_no_line_is_empty(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Neither spinners nor bars leave blank lines or control codes."""
        console = Console()
        with console.task("loading models"):
            pass
        with console.progress() as progress:
            progress.advance(progress.add_task("scoring", total=1, note=""))

        assert capsys.readouterr().err == "loading models\nscoring: 1 of 1, in 0:00\n"

    def test_long_sentences_are_not_cut(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A path can be copied from it."""
        path = "/a/very/long/path" * 20
        Console().note(f"{path} is [finished]")

        assert capsys.readouterr().err == f"{path} is [finished]\n"


def test_terminal_shows_a_bar_within_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count, loss, rate and time left fit into 80 columns."""
    screen = io.StringIO()
    console = Console()
    console.rich = RichConsole(file=screen, force_terminal=True, width=80)
    with console.progress() as progress:
        task = progress.add_task("training", total=20_000, note="loss 2.345")
        progress.update(task, completed=12_345, note="loss 2.345")
        progress.refresh()

    assert "12345/20000" in screen.getvalue()
    assert "loss 2.345" in screen.getvalue()


@pytest.mark.parametrize(
    ("speed", "left", "text"),
    [(3.14, 65, "3.1/s, 1:05 left"), (0.25, 8000, "4.0 s each, 2:13:20 left"), (None, None, "")],
)
def test_pace(speed: float | None, left: float | None, text: str) -> None:
    """Fast tasks have a rate, slow ones a time each."""

    class Told(Task):
        finished = False  # type: ignore[assignment]
        time_remaining = left  # type: ignore[assignment]

    Told.speed = property(lambda _: speed)  # type: ignore[assignment, method-assign]
    assert pace(Told(TaskID(0), "", 10, 1, _get_time=lambda: 0.0)) == text


def test_warnings_are_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    """Without the file and line that gave them."""
    with Console().warnings():
        warnings.simplefilter("default")
        warnings.warn("three files are not used", stacklevel=1)

    assert capsys.readouterr().err == "warning: three files are not used\n"
