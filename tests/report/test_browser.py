"""The page as a browser draws it, where one is installed: something is there, and nothing sticks out."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from steermoe_core.plugins import load_registry
from steermoe_core.report.page import contents, page
from tests.report.shelf import CERTIFICATES, ROUTING, layers, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.report.shelf import Shelf

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
)  # fmt: skip
#: A browser's own window is never as narrow as a phone; a frame can be.
FRAME = """<!doctype html><body style="margin:0">
<iframe srcdoc="{page}" style="width:{width}px;height:800px;border:0"></iframe><script>onload = () => {{
  const one = document.querySelector("iframe").contentDocument;
  one.querySelectorAll("details").forEach(details => {{ details.open = true }});
  document.body.dataset.found = one.documentElement.scrollWidth + " of " + one.documentElement.clientWidth;
}}</script>"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


@pytest.fixture
def drawn(shelf: Shelf) -> str:
    """Return a page with long names, many experts and everything else."""
    answers = ["never " * 300, "x" * 200, *["four"] * 4]
    run = shelf.run("a-run-of-a-name-that-is-too-long-for-a-phone", answers, steering=layers(3, 32))
    write(run / "evaluations" / "dev" / "routing.json", ROUTING)
    write(run / "certificates.json", CERTIFICATES)
    return page(contents([run, shelf.run("second")], load_registry()))


def browse(folder: Path, *words: str) -> str:
    """Return what the browser prints."""
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_nothing_sticks_out(drawn: str, tmp_path: Path, width: int) -> None:
    """On a phone, a tablet and a desk: no scrolling sideways."""
    file = tmp_path / "frame.html"
    file.write_text(FRAME.format(page=html.escape(drawn), width=width), encoding="utf-8")

    told = browse(
        tmp_path, "--window-size=1400,900", "--virtual-time-budget=3000", "--dump-dom", file.as_uri()
    )

    found = re.search(r'data-found="(\d+) of (\d+)"', told)
    assert found, told[-500:]
    assert int(found[2]) == width
    assert int(found[1]) <= width


def test_something_is_drawn(drawn: str, tmp_path: Path) -> None:
    """A picture of the page has ink on paper: thousands of bytes more than an empty one."""
    sizes = []
    for name, text in (("page", drawn), ("empty", "<!doctype html><title>nothing</title>")):
        (tmp_path / f"{name}.html").write_text(text, encoding="utf-8")
        picture = tmp_path / f"{name}.png"
        browse(
            tmp_path,
            "--window-size=800,1200",
            f"--screenshot={picture}",
            (tmp_path / f"{name}.html").as_uri(),
        )
        sizes.append(picture.stat().st_size)
    assert sizes[0] > 5 * sizes[1]
