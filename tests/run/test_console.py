"""What is said on stderr: bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import sys
import warnings
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
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


class Screen(io.StringIO):
    """A terminal of 80 columns."""

    def isatty(self) -> bool:
        return True


def drawn(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, **environment: str) -> str:
    """Return what a task and a bar write to a stream that is stderr."""
    for name in ("CI", "FORCE_COLOR", "TTY_COMPATIBLE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "80", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", stream)
    console = Console()
    with console.task("loading models"):
        pass
    with console.progress() as progress:
        task = progress.add_task("training", total=20_000, note="loss 2.345")
        progress.update(task, completed=12_345, note="loss 2.345")
        progress.refresh()
    return stream.getvalue()


def test_terminal_shows_a_bar_within_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count, loss, rate and time left fit into 80 columns."""
    screen = drawn(monkeypatch, Screen())

    assert "12345/20000" in screen
    assert "loss 2.345" in screen
    assert "\x1b" in screen


@pytest.mark.parametrize(
    ("stream", "environment"),
    [
        (io.StringIO, {}),
        (io.StringIO, {"FORCE_COLOR": "1"}),
        (io.StringIO, {"TTY_COMPATIBLE": "1"}),
        (Screen, {"CI": "true"}),
        (Screen, {"CI": "true", "FORCE_COLOR": "1"}),
        (Screen, {"TERM": "dumb"}),
    ],
)
def test_logs_are_plain_lines(
    stream: type[io.StringIO], environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a file and in a CI job, which may ask for colours or have a terminal: no control characters."""
    assert drawn(monkeypatch, stream(), **environment) == (
        "loading models\ntraining: 12345 of 20000, loss 2.345\n"
    )


def test_ci_that_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that says false is not a CI job."""
    assert "\x1b" in drawn(monkeypatch, Screen(), CI="false")


class TestNotebook:
    """In the cells of a notebook; `tests/scripting/test_notebook.py` looks at a real one."""

    @pytest.fixture
    def shown(self, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        """Return what is displayed, and make this process look like a kernel."""
        displays: list[Any] = []

        class Handle:
            def __init__(self, data: dict[str, str]) -> None:
                self.texts = [data["text/plain"]]
                displays.append(self.texts)

            def update(self, data: dict[str, str], *, raw: bool) -> None:
                assert raw
                self.texts.append(data["text/plain"])

        def display(data: dict[str, str], *, raw: bool, display_id: bool) -> Handle:
            assert (raw, display_id) == (True, True)
            return Handle(data)

        monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
        monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
        monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
        return displays

    def test_line_changes_twice_a_second(self, shown: list[Any], clock: Clock) -> None:
        """One display a task; the last text is its end."""
        with Console().progress() as progress:
            progress.get_time = clock.monotonic
            task = progress.add_task("training", total=20, note="")
            for step in range(1, 21):
                clock.now += 0.1
                progress.update(task, completed=step, note=f"loss {step}")

        (texts,) = shown
        assert [text.partition(",")[0] for text in dict.fromkeys(texts)] == [
            f"training: {step} of 20" for step in (6, 11, 16, 20)
        ]
        assert texts[-1] == "training: 20 of 20, loss 20, in 0:02"

    def test_task_that_starts_again_with_nothing_to_do(self, shown: list[Any]) -> None:
        """The end of its first part stays."""
        with Console().progress() as progress:
            task = progress.add_task("comparing sounds", total=None, note="")
            for total in (3, 0):
                progress.update(task, total=total, completed=0)
                for _ in range(total):
                    progress.advance(task)

        assert [texts[-1] for texts in shown] == ["comparing sounds: 3 of 3, in 0:00"]

    def test_notes_are_printed(self, shown: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
        """On stdout, because a notebook shows stderr as an error; text, not HTML."""
        console = Console()
        with console.task("loading models"):
            console.note("training data: 10 clips")

        assert capsys.readouterr() == ("loading models\ntraining data: 10 clips\n", "")
        assert shown == []

    def test_quiet(self, shown: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
        """Nothing at all."""
        console = Console(quiet=True)
        console.note("hello")
        with console.progress() as progress:
            progress.advance(progress.add_task("scoring", total=1, note=""))

        assert (shown, capsys.readouterr()) == ([], ("", ""))


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
