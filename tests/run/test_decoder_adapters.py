"""Adapters on the decoder, and several of them: whole runs on tiny parts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file

from tests.rig import STEPS, metrics, sentence

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig

ON_DECODER = '{use="steering", experts=3, start=0.5, balance=0.1, on="decoder"}'
ADAPTERS = {
    "steering": ON_DECODER,
    "aligner": '{use="aligner", experts=3, start=0.5, on="decoder"}',
    "lora": '{use="lora", rank=2, on="decoder"}',
    "soft-prompt": '{use="soft-prompt", tokens=3}',
    "both": f'[{{use="steering", experts=3, start=0.5}}, {ON_DECODER}]',
    "all": f'[{{use="steering", experts=2}}, {{use="aligner", experts=3}}, {ON_DECODER}, '
    '{use="lora", rank=2, on="decoder"}, {use="soft-prompt", tokens=2}]',
}
RATES = "train.learning_rate={projector=1e-2}"


def sets(name: str) -> list[str]:
    """Return the flags of an experiment with one of the adapters."""
    return [f"adapter={ADAPTERS[name]}", RATES]


def certificates(run: Path) -> dict[str, Any]:
    """Return whether each certificate passed."""
    found = json.loads((run / "certificates.json").read_text())["certificates"]
    return {one["name"]: one["passed"] for one in found}


@pytest.mark.parametrize("name", ADAPTERS)
def test_it_trains_and_is_certified(rig: Rig, name: str) -> None:
    """Every certificate passes: frozen weights, text-only logits, batch invariance, gradients."""
    run = rig.run(*sets(name))

    found = certificates(run)
    assert [name for name, passed in found.items() if passed is False] == ["no-train-eval-overlap"]
    assert found["batch-invariance"]
    assert found["text-only-bit-identical"]
    assert found["every-tensor-got-gradient"]
    groups = {"steering": {"steering", "router", "scales"}, "aligner": {"steering", "router"},
              "lora": {"lora"}, "soft-prompt": {"soft-prompt"}}  # fmt: skip
    wanted = set().union(*groups.values()) if name == "all" else groups.get(name, groups["steering"])
    assert all({*line["gradient_norm"]} == {"projector", *wanted} for line in metrics(run))


@pytest.mark.parametrize("name", ["both", "all"])
def test_statistics_name_the_tower(rig: Rig, name: str) -> None:
    """The decoder's layers have a prefix; their figures are over the clips of the split."""
    scores = json.loads((rig.run(*sets(name)) / "evaluations" / "dev" / "scores.json").read_text())
    layers = [record["layer"] for record in scores["steering"]]
    assert layers == [0, 1, 2, *(["after"] if name == "all" else []), "decoder.0", "decoder.1"]


@pytest.mark.parametrize("name", ["steering", "lora", "soft-prompt", "all"])
def test_killed_and_resumed_it_ends_with_the_same_tensors(rig: Rig, name: str) -> None:
    """Bit for bit."""
    whole = load_file(rig.run(*sets(name)) / "adapter" / "adapter.safetensors")
    process = rig.process(*sets(name), "train.log_every=2", RIG="kill@3")
    _, err = process.communicate(timeout=120)
    assert process.returncode == -9, err

    resumed = load_file(rig.run(*sets(name), "train.log_every=2") / "adapter" / "adapter.safetensors")

    assert whole.keys() == resumed.keys()
    assert all(whole[key].equal(resumed[key]) for key in whole)


@pytest.mark.slow
@pytest.mark.parametrize("stage", [0, 2, 3])
def test_under_deepspeed_it_is_the_same(rig: Rig, stage: int) -> None:
    """In one process, whatever is split."""
    alone = load_file(rig.run(*sets("all")) / "adapter" / "adapter.safetensors")
    split = [*sets("all"), f"train.deepspeed={{stage={stage}}}"]
    process = rig.process(*split)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    under = load_file(rig.path(*split) / "adapter" / "adapter.safetensors")
    assert alone.keys() == under.keys()
    for key, tensor in alone.items():
        torch.testing.assert_close(under[key], tensor, atol=1e-5, rtol=1e-4)


def test_a_run_that_would_not_train_it_is_refused(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """CTC in every step leaves the language model out; one step with it is enough."""
    soft = 'projector={use="soft-ctc", pool={kernel=2}, start_steps=%d}'

    rig.run(*sets("lora"), soft % STEPS, expect=2)
    assert (
        f"start_steps of the projector is {STEPS}, so all {STEPS} steps leave the language model out"
        in sentence(capsys)
    )
    rig.run(*sets("lora"), soft % (STEPS - 1))
