"""Compiled layers: the numbers of the others, and one compilation for all layers and lengths."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch._inductor import cpp_builder, exc

from steermoe_core.errors import SetupError
from steermoe_core.model import compiled as module
from steermoe_core.model.compiled import check_compiler, compiled
from steermoe_core.model.generate import generate
from tests.model.test_recompute import PROMPT, model_of, step
from tests.parts import batch, joined, save_whisper, steering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from steermoe_core.model.joined import Joined

#: torch's compiler looks at gradients of any tensor, and hides the warning in a way that pytest does not see.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated"),
]
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Compile into graphs that are run operation by operation, and return them."""
    found: list[Any] = []

    def backend(graph: Any, _: Any) -> Callable[..., Any]:
        found.append(graph)
        run: Callable[..., Any] = graph.forward
        return run

    torch._dynamo.reset()
    call = torch.compile(module._call, dynamic=True, backend=backend)
    monkeypatch.setattr(module, "_compiled", lambda: call)
    yield found
    torch._dynamo.reset()


def compiling(model: Joined) -> Joined:
    """Return a model whose layers are compiled in training."""
    model.encoder.fuse = model.decoder.fuse = compiled
    return model


def same(one: Any, other: Any, share: float = 0.0) -> None:
    """Compare loss, gradients and statistics of two steps.

    :param share: of a gradient's largest number by which its numbers may differ, beside `CLOSE`.
    """
    assert one.loss == pytest.approx(other.loss, rel=1e-5)
    assert one.gradients.keys() == other.gradients.keys()
    for name, gradient in one.gradients.items():
        wanted = other.gradients[name]
        atol = CLOSE["atol"] + share * wanted.abs().max().item()
        torch.testing.assert_close(gradient, wanted, rtol=CLOSE["rtol"], atol=atol)


@pytest.mark.parametrize("parts", [(), ("encoder", "decoder")], ids=["kept", "recomputed"])
def test_same_numbers(decoder_folder: str, graphs: list[Any], parts: tuple[str, ...]) -> None:
    """With an auxiliary loss and a prompt that all rows share, also where layers are computed twice."""
    same(step(compiling(model_of(decoder_folder, *parts))), step(model_of(decoder_folder)))
    assert graphs


def test_layers_and_lengths_share_their_code(decoder_folder: str, graphs: list[Any]) -> None:
    """Layers differ in weights, and batches in their size; the first steered layer alone has no gradient."""
    model = compiling(model_of(decoder_folder))
    seconds = [(1.3, 0.4, 0.8), (0.6, 1.0), (2.0, 1.4, 0.5, 0.9)]
    for number, lengths in enumerate(seconds):
        answers = tuple((5, 6, 7)[: 1 + (place + number) % 3] for place in range(len(lengths)))
        step(model, batch(model.encoder, lengths, before=(PROMPT,), answers=answers))

    assert len(graphs) == 3


def test_whisper_is_one_graph(decoder_folder: str, tmp_path: Path, graphs: list[Any]) -> None:
    """Nothing in its layers interrupts the compiler: two graphs, as above, and the decoder's."""
    whisper = pytest.importorskip("steermoe_whisper.encoder")
    from steermoe_whisper.config import WhisperConfig

    folder = save_whisper(tmp_path / "whisper")

    def made() -> Joined:
        encoder = whisper.WhisperEncoder(WhisperConfig(weights=folder, input="true-length"))
        return joined(decoder_folder, adapter=steering(encoder), encoder=encoder).train()

    model, eager = made(), made()
    given = batch(eager.encoder, before=(PROMPT,))
    same(step(compiling(model), given), step(eager, given))
    assert len(graphs) == 3


def test_evaluation_is_not_concerned(decoder_folder: str, graphs: list[Any]) -> None:
    """Answers and scores are computed as always."""
    model = compiling(model_of(decoder_folder))
    given = batch(model.encoder)
    with torch.no_grad():
        model.eval()
        generate(model, given, [4, 4, 4])
        model(given, 6)
    assert graphs == []


@pytest.mark.slow
def test_inductor_computes_the_same(decoder_folder: str) -> None:
    """What torch's compiler makes of the layers agrees with them within rounding."""
    try:
        check_compiler(torch.device("cpu"))
    except SetupError as error:
        pytest.skip(str(error))
    torch._dynamo.reset()
    same(step(compiling(model_of(decoder_folder))), step(model_of(decoder_folder)), share=1e-3)


@pytest.mark.parametrize(("device", "needed"), [("cpu", "a C++ compiler"), ("cuda", "Triton")])
def test_a_machine_without_a_compiler_is_told(
    monkeypatch: pytest.MonkeyPatch, device: str, needed: str
) -> None:
    """One sentence says what is missing."""

    def missing() -> str:
        raise exc.InvalidCxxCompiler

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", missing)
    monkeypatch.setattr("torch.utils._triton.has_triton", lambda: False)
    with pytest.raises(
        SetupError, match=f"train.compile needs {re.escape(needed)}.*; install it, or set train.compile"
    ):
        check_compiler(torch.device(device))
