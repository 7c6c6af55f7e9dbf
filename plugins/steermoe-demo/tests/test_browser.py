"""The page in Chromium, with real recordings: by file and by microphone, on a desk and on a phone."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import threading
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import soundfile

import steermoe_core

pytest.importorskip("gradio", reason="gradio is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pocket = pytest.importorskip("steermoe_pocket.debian", reason="steermoe-pocket is not installed")

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi import FastAPI

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
#: A microphone that plays a file, once, and no question whether the page may use it.
MICROPHONE = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
#: Milliseconds that a model may take on a busy machine.
LONG = 240_000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of what gradio uses
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed"),
    pytest.mark.skipif(bool(pocket.missing()), reason="the Debian packages are not installed"),
]


@attrs.frozen
class Demo:
    """A page that is served, and what its model makes of the recording in Python.

    :param sound: a recording of a human voice.
    """

    address: str
    sound: Path
    texts: list[str]
    browser: Any

    def open(self, width: int = 1280) -> Any:
        """Return the page in a window; what goes wrong in it is an error."""
        context = self.browser.new_context(viewport={"width": width, "height": 800})
        page = context.new_page()
        page.set_default_timeout(LONG)
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        page.goto(self.address)
        return page


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Yield a page of pocket/asr."""
    import uvicorn

    from steermoe_demo.page import application
    from steermoe_pocket import human

    (sound, *_) = sorted(human.librivox(pocket.SHARE), key=lambda clip: soundfile.info(clip.audio).duration)
    model = steermoe_core.load("pocket/asr", "cpu")
    place = socket.create_server(("127.0.0.1", 0))

    async def built() -> FastAPI:  # in a loop, else gradio leaves some open
        return application({"pocket/asr": model}, "127.0.0.1")

    app = asyncio.run(built())
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [place]})
    thread.start()
    flags = ("--no-sandbox", *MICROPHONE, f"--use-file-for-fake-audio-capture={sound.audio}%noloop")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        texts = [segment.text for segment in model.segments(sound.audio)]
        yield Demo(f"http://127.0.0.1:{place.getsockname()[1]}", sound.audio, texts, browser)
        browser.close()
    server.should_exit = True
    thread.join(30)


@pytest.mark.parametrize("width", [1280, 360])
def test_a_file(demo: Demo, width: int) -> None:
    """Its text with times, its waveform, a note on routing; a question has an answer; nothing sticks out."""
    page = demo.open(width)
    page.set_input_files("#recording input[type=file]", demo.sound)
    page.click("#transcribe")
    page.wait_for_selector(".transcript article")

    assert page.locator(".transcript li span").all_inner_texts() == demo.texts
    assert re.fullmatch(r"0:00 – 0:\d\d(\.\d)?", page.locator(".transcript time").first.inner_text())
    assert page.locator(".transcript svg.wave").bounding_box()["height"] > 20
    assert "No router on its audio encoder" in page.locator(".transcript article").inner_text()
    page.fill("#question textarea", "Repeat the words.")
    page.click("#ask")
    page.wait_for_selector(".answer article")
    assert page.locator(".answer .said").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_microphone(demo: Demo) -> None:
    """A recording in the browser is in a format that is read."""
    page = demo.open()
    page.click("#recording [aria-label='Record audio']")
    page.click("#recording button.record-button")
    page.wait_for_timeout(3000)
    with page.expect_response("**/upload*"):
        page.click("#recording button.stop-button")
    page.wait_for_timeout(1000)  # the page takes it over
    page.click("#transcribe")
    page.wait_for_selector(".transcript article")

    assert page.locator(".failure").all_inner_texts() == []
    assert page.locator(".transcript li span").first.inner_text()


def test_bad_audio(demo: Demo, tmp_path: Path) -> None:
    """One sentence, and the page still works."""
    (tmp_path / "speech.wav").write_bytes(b"RIFF\xff\xff\xff\xffWAVEfmt ")
    page = demo.open()
    page.set_input_files("#recording input[type=file]", tmp_path / "speech.wav")
    page.click("#transcribe")
    page.wait_for_selector(".failure")

    assert page.locator(".failure").inner_text().startswith("speech.wav: ")
    page.click("#recording [aria-label='Clear']")
    page.wait_for_selector(".failure", state="detached")
    page.click("#transcribe")
    page.wait_for_selector(".failure")
    assert page.locator(".failure").inner_text() == "Choose a file or record one first"
