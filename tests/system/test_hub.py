"""Names of the hub told from paths, and a hub that is away: neither waits."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest
from huggingface_hub import constants

from steermoe_core.errors import DataError, SetupError
from steermoe_core.model.weights import at_hand, load
from steermoe_core.system import hub
from tests.hub import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Far less than the hub's own client takes for its retries.
SOON = 8.0


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a sub-folder `models`, with an empty cache and a hub that may be asked."""
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "_found", {})
    return tmp_path


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Name a hub that takes calls and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        _point(monkeypatch, f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "1")
        yield


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name a hub that nobody serves."""
    _point(monkeypatch, "http://127.0.0.1:9")


def _point(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.mark.parametrize(
    "value",
    [
        "/srv/sew", "./sew", "../sew", "~/sew", ".", "models/sew", "a/b/c", "a/", "owner/name/", "C:\\sew",
        "a b", "sew.gguf", "owner/sew.Q4_1.gguf", "sew.safetensors", "model.pth.tar", "owner/sew.zip", "",
        "owner/-name", "hub:owner/name",
    ],
)  # fmt: skip
def test_paths(value: str) -> None:
    """What cannot be a name on the hub, or begins with a folder that is here, is a path."""
    assert hub.is_path(value)


@pytest.mark.parametrize(
    "value",
    ["gpt2", "openai/whisper-tiny.en", "Qwen/Qwen2.5-7B-Instruct", "facebook/s2t_small", "0x/a.b-c_d"],
)
def test_names(value: str) -> None:
    """`owner/name`, or a name alone; dots of versions are no suffix of a file."""
    assert not hub.is_path(value)


def test_a_name_that_the_cache_holds_is_one_beside_a_folder_too(place: Path) -> None:
    """The folder `models` is here, but the model `models/sew` was fetched."""
    assert hub.is_path("models/sew")
    (place / "cache" / "models--models--sew").mkdir(parents=True)
    assert not hub.is_path("models/sew")


def test_a_path_is_not_looked_for_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither weights nor data are: the sentence says that nothing is there."""
    from transformers import AutoModel

    monkeypatch.setattr(hub, "silence", lambda: pytest.fail("the hub was asked"))
    with pytest.raises(SetupError, match=r"'models/sew': there is no such file or folder .*`hf download"):
        load(AutoModel, "models/sew")
    with pytest.raises(SetupError, match=r"'./sew': there is no such file or folder \([^`]*$"):
        load(AutoModel, "./sew")
    with pytest.raises(DataError, match=r"models/set: there is no such folder"):
        _dataset("models/set")


def test_a_folder_that_is_called_like_a_model(place: Path) -> None:
    """It is used, and reported; other paths and names need no report."""
    (place / "models" / "sew").mkdir()
    with pytest.warns(
        UserWarning, match=rf"^models/sew: the folder {place}/models/sew is used, not what has"
    ):
        hub.report_folder("models/sew")
    for name in ("./models/sew", str(place / "models" / "sew"), "models", "models/other", "a\\b"):
        hub.report_folder(name)


def test_home_folders(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tilde is the home folder; that of an unknown user stays a path that is not there."""
    monkeypatch.setenv("HOME", str(place))
    assert hub.expanded("~/models") == str(place / "models")
    assert hub.expanded("~nobody-9/models") == "~nobody-9/models"
    assert hub.expanded("owner/name") == "owner/name"
    assert at_hand("~/models")
    monkeypatch.setattr(hub, "silence", lambda: pytest.fail("the hub was asked"))
    with pytest.raises(DataError, match=r"/set: there is no such folder, and it is not a name on the hub"):
        _dataset("~/set")


@pytest.mark.parametrize(("hub_is", "reason"), [("away", "cannot be reached"), ("deaf", "does not answer")])
def test_a_hub_that_does_not_answer(request: pytest.FixtureRequest, hub_is: str, reason: str) -> None:
    """Models, tokenizers, data and adapters fail within seconds and say why."""
    from transformers import AutoModel, AutoTokenizer

    from steermoe_core.run.folder.hub import fetched

    request.getfixturevalue(hub_is)
    start = time.monotonic()
    for ask in (
        lambda: load(AutoModel, "nobody/sew"),
        lambda: load(AutoTokenizer, "nobody/sew"),
        lambda: _dataset("nobody/set"),
        lambda: fetched("hub:nobody/ears"),
    ):
        with pytest.raises(SetupError, match=rf"nobody/.*http://127.0.0.1:\d+ {reason}"):
            ask()

    assert time.monotonic() - start < SOON
    assert not constants.HF_HUB_OFFLINE


def test_offline_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """With HF_HUB_OFFLINE nobody knocks, and the sentence names it."""
    from transformers import AutoModel

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(hub, "_knock", lambda _: pytest.fail("the hub was asked"))
    with pytest.raises(SetupError, match=r"'nobody/sew'.*HF_HUB_OFFLINE is set"):
        load(AutoModel, "nobody/sew")


def test_the_hub_is_asked_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """One answer holds for all that is fetched next, not for ever."""
    asked: list[str] = []
    monkeypatch.setattr(hub, "_knock", lambda address: asked.append(address) or "")
    for _ in range(3):
        assert hub.silence() == ""
    assert len(asked) == 1

    monkeypatch.setattr(hub, "_VALID", 0.0)
    assert hub.silence() == ""
    assert len(asked) == 2


def test_a_hub_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it says of its front page, it is there."""
    with serving() as served:
        _point(monkeypatch, served.address)
        with hub.asking() as silence:
            assert silence == ""
            assert not constants.HF_HUB_OFFLINE


def _dataset(path: str) -> object:
    from steermoe_core.data.config import HubConfig
    from steermoe_core.data.sources.tables import read_hub

    return read_hub(HubConfig(path=path))
