"""The page: a recording, a question, and what each model makes of them, side by side."""

from __future__ import annotations

import html
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

from steermoe_core import DataError
from steermoe_demo.panel import answered, checked, failure, transcribed
from steermoe_demo.server import LOOPBACK

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read at import
with warnings.catch_warnings():  # pydub's, on ffmpeg and audioop: the page uses neither
    warnings.simplefilter("ignore")
    import gradio as gr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from steermoe_core import Transcriber

_PROGRESS = gr.Progress()
#: Largest file that the page takes.
_LARGEST = "200mb"
#: Seconds between two looks for old recordings, and those that a recording is kept.
_KEPT = (600, 3600)
_HEAD = """<h1>steermoe</h1>
<p>Record or choose a file, then transcribe it, or ask the model{several} about it.</p>"""


def application(models: Mapping[str, Transcriber], host: str) -> FastAPI:
    """Return the server's application.

    :param host: that it listens on; one of this machine alone answers to no other name.
    """
    app = FastAPI()
    if host in LOOPBACK:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK))
    gr.mount_gradio_app(
        app,
        page(models),
        path="",
        css_paths=Path(__file__).parent / "style.css",
        footer_links=[],
        run_history=False,
        max_file_size=_LARGEST,
        ssr_mode=False,
    )
    return app


def page(models: Mapping[str, Transcriber]) -> gr.Blocks:
    """Return the page of some models, by name."""
    handlers = Handlers(models)
    with gr.Blocks(title="steermoe", analytics_enabled=False, delete_cache=_KEPT) as blocks:
        gr.HTML(_HEAD.format(several="s" if len(models) > 1 else ""), elem_id="head", padding=False)
        with gr.Row(equal_height=False, elem_id="inputs"):
            with gr.Column(min_width=280):
                recording = gr.Audio(
                    label="Recording", type="filepath", sources=["upload", "microphone"], buttons=[],
                    elem_id="recording",
                )  # fmt: skip
                transcribe = gr.Button("Transcribe", variant="primary", elem_id="transcribe")
            with gr.Column(min_width=280):
                question = gr.Textbox(
                    label="Question", placeholder="What is in the recording?", lines=5, elem_id="question"
                )
                ask = gr.Button("Ask", elem_id="ask")
        status = gr.HTML(elem_id="status")
        with gr.Row(equal_height=False, elem_id="models"):
            panels = [_column(name) for name in models]
        answers, transcripts = ([pair[place] for pair in panels] for place in (0, 1))
        shared: dict[str, Any] = {
            "show_progress_on": status,
            "concurrency_id": "models",  # one call at a time: a model is not thread-safe
            "concurrency_limit": 1,
            "api_visibility": "private",
        }
        transcribe.click(handlers.transcribe, [recording], transcripts, **shared)
        gr.on([ask.click, question.submit], handlers.ask, [recording, question], answers, **shared)
        everything = [*answers, *transcripts]
        recording.change(
            lambda: [""] * len(everything), None, everything, queue=False, api_visibility="private"
        )
    return blocks


class Handlers:
    """What the buttons do.

    :param models: by name.
    """

    def __init__(self, models: Mapping[str, Transcriber]) -> None:
        self._models = models

    def transcribe(self, file: str | None, progress: gr.Progress = _PROGRESS) -> Iterator[list[str]]:
        """Yield the panels of all models, each time one more is done."""
        yield from self._each(file, progress, transcribed)

    def ask(self, file: str | None, question: str, progress: gr.Progress = _PROGRESS) -> Iterator[list[str]]:
        """Yield the answers of all models, each time one more is done."""
        if not question.strip():
            yield [failure("Write a question first")] * len(self._models)
            return
        yield from self._each(file, progress, lambda model, path, _: answered(model, path, question))

    def _each(
        self,
        file: str | None,
        progress: gr.Progress,
        use: Callable[[Transcriber, Path, Callable[[float], None]], str],
    ) -> Iterator[list[str]]:
        panels = [""] * len(self._models)
        try:
            path, seconds = checked(file)
        except DataError as error:
            yield [failure(str(error))] * len(panels)
            return
        for number, (name, model) in enumerate(self._models.items()):
            told = _Told(progress, f"{name} ({number + 1} of {len(panels)})", seconds)
            told(0.0)
            panels[number] = use(model, path, told)
            yield list(panels)


class _Told:
    """Shows the progress of one model.

    :param seconds: of the recording; nan where they are not known.
    """

    def __init__(self, progress: gr.Progress, name: str, seconds: float) -> None:
        self._progress, self._name, self._seconds, self._done = progress, name, seconds, 0.0

    def __call__(self, seconds: float) -> None:
        self._done += seconds
        known = self._seconds > 0
        count = f": {self._done:.1f} of {self._seconds:.1f} s" if known and self._done else ""
        self._progress(min(self._done / self._seconds, 1.0) if known else None, desc=f"{self._name}{count}")


def _column(name: str) -> tuple[gr.HTML, gr.HTML]:
    """Return where a model's answer and its transcript come."""
    with gr.Column(min_width=320, elem_classes="model"):
        gr.HTML(f"<h2>{html.escape(name)}</h2>", elem_classes="name", padding=False)
        answer, transcript = (gr.HTML(elem_classes=name, padding=False) for name in ("answer", "transcript"))
    return answer, transcript
