"""What each number of the hook contract promises to plugins; a line that must change needs a new number."""

from __future__ import annotations

import inspect
import re
from typing import Any

import attrs
import pytest

import steermoe_core
from docs.generate.hooks import reference
from steermoe_core import hookspecs
from steermoe_core.component import API, KINDS, OLDEST_API, Component

NOTHING: list[str] = []
CONTRACTS: dict[int, dict[str, dict[str, list[str]]]] = {
    1: {
        "hooks": {
            **{f"steermoe_{kind}s": NOTHING for kind in KINDS if kind != "weights"},
            "steermoe_weights": NOTHING,
            "steermoe_commands": NOTHING,
            "steermoe_before_run": ["folder"],
            "steermoe_after_run": ["folder"],
            "steermoe_run_failed": ["folder", "error"],
        },
        "factories": {
            "encoder": NOTHING,
            "adapter": ["tower", "build"],  # called by position
            "router": ["width", "experts", "layers"],
            "projector": ["width", "decoder"],
            "decoder": NOTHING,
            "dataset": NOTHING,
            "augmentation": NOTHING,
            "collator": ["tokenizer", "features", "rate", "seed", "room"],
            "metric": NOTHING,
            "callback": NOTHING,
            "launcher": NOTHING,
            "weights": NOTHING,
        },
        "record": {"required": ["name", "api", "summary", "config", "factory"]},
        "to be implemented": {
            "Adapter": NOTHING,
            "Augmentation": NOTHING,
            "Callback": NOTHING,
            "Collator": ["collate", "fitting", "hypothesis", "prompt_batch", "prompt_lengths", "reference"],
            "Decoder": ["embed", "embeddings", "hidden", "logits", "new_cache", "prefix"],
            "Encoder": ["features", "forward", "frames"],
            "Launcher": ["start"],
            "Metric": ["edits"],
            "Projector": ["forward", "tokens"],
            "Router": ["forward"],
        },
    },
}


def spoken() -> dict[str, dict[str, list[str]]]:
    """Return the contract as the code has it today."""
    rows = re.findall(r"^\| (\w+) \| `steermoe_\w+` \| (.*?) \|", reference(), re.MULTILINE)
    return {
        "hooks": {
            name: list(inspect.signature(getattr(hookspecs, name)).parameters)
            for name in vars(hookspecs)
            if name.startswith("steermoe_")
        },
        "factories": {kind: re.findall(r"(\w+):", given) for kind, given in rows},
        "record": {"required": [one.name for one in attrs.fields(Component) if one.default is attrs.NOTHING]},
        "to be implemented": {
            name: abstract(getattr(steermoe_core, name)) for name in CONTRACTS[1]["to be implemented"]
        },
    }


def abstract(cls: type) -> list[str]:
    """Return what a subclass has to write."""
    return sorted(name for name in dir(cls) if marked(getattr(cls, name, None)))


def marked(member: Any) -> bool:
    """Tell whether a member is an abstract one; torch modules do not enforce it, the contract does."""
    return bool(getattr(member, "__isabstractmethod__", False))


@pytest.mark.parametrize("number", range(OLDEST_API, API + 1))
@pytest.mark.parametrize("part", CONTRACTS[1])
def test_the_contract_is_the_one_that_was_promised(number: int, part: str) -> None:
    """Hooks, factories, the record and base classes; new hooks may come, and nothing else."""
    today = spoken()[part]
    promised = CONTRACTS[number][part]

    assert {name: today.get(name) for name in promised} == promised
    assert part == "hooks" or set(today) == set(promised)


def test_the_window_of_numbers() -> None:
    """The newest is loaded, and the oldest is not newer than it."""
    assert 1 <= OLDEST_API <= API
    assert set(CONTRACTS) >= set(range(OLDEST_API, API + 1))
