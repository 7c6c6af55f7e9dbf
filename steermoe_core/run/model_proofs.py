"""Certificates that need the model: it is built anew, and the adapter is loaded as anybody would."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import attrs
import torch

from steermoe_core.data.check import sorted_out
from steermoe_core.errors import DataError
from steermoe_core.evaluate.evaluation import Evaluator
from steermoe_core.evaluate.invariance import invariance, mixed
from steermoe_core.run import adapter, lock
from steermoe_core.run.certificate import Certificate
from steermoe_core.run.device import move
from steermoe_core.run.evidence import evidence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from steermoe_core.data.collators import Collator
    from steermoe_core.data.example import Example
    from steermoe_core.model.decoder import Decoder
    from steermoe_core.model.joined import Joined
    from steermoe_core.run.build import Builder
    from steermoe_core.run.folder import RunFolder

#: Read by the language model alone, beside references of the run's own clips.
_TEXTS = ("The quick brown fox jumps over the lazy dog.", "1 + 1 =")
#: Largest difference that a batch may make: the order of sums alone, in the precision of the weights.
EXACT, ELSEWHERE, HALF = 1e-5, 1e-4, 5e-2


def model_proofs(
    builder: Builder, folder: RunFolder, splits: Mapping[str, Sequence[Example]]
) -> tuple[list[Certificate], Joined]:
    """Return the certificates of a run's model, and that model.

    What could change frozen weights, or hook into them, is done before these are looked at.
    """
    decoder = move(builder.part(builder.experiment.decoder), builder.experiment.train.device)
    texts = [*_TEXTS, *_references(splits)]
    before = _text_logits(decoder, texts)
    model = builder.model(decoder)
    loaded = adapter.identity(model)
    adapter.load(folder.adapter, model, loaded)
    move(model, builder.experiment.train.device).eval()
    independent = _batch_invariance(builder, model, splits)
    return [
        _frozen(folder, loaded, adapter.identity(model)),
        _text_only(texts, before, _text_logits(decoder, texts)),
        independent,
    ], model


def _frozen(folder: RunFolder, loaded: dict[str, str], used: dict[str, str]) -> Certificate:
    """Compare the identities of the frozen parts at every time that there is a record of."""
    saved = {part: one["sha256"] for part, one in adapter.read_card(folder.adapter)["frozen"].items()}
    times: dict[str, Any] = {
        "before training": lock.frozen(folder.lock),
        "after training": evidence(folder).get("frozen"),
        "in adapter.json": saved,
        "loaded now": loaded,
        "after use": used,
    }
    known = {when: hashes for when, hashes in times.items() if hashes}
    moved = [
        f"{part} ({when})"
        for when, hashes in known.items()
        for part in saved
        if hashes.get(part) != saved[part]
    ]
    found = f"of encoder and decoder are the same at {len(known)} times: {', '.join(known)}"
    return Certificate(
        name="frozen-stayed-frozen",
        claim="Not one bit of the frozen encoder and decoder changed, in training or in use.",
        passed=not moved,
        why=f"other frozen weights: {', '.join(moved)}" if moved else f"hashes {found}",
        measured={when.replace(" ", "_"): hashes for when, hashes in times.items()},
    )


def _text_only(texts: Sequence[str], before: list[torch.Tensor], after: list[torch.Tensor]) -> Certificate:
    apart = [(one - two).abs().max().item() for one, two in zip(before, after, strict=True)]
    equal = [torch.equal(one, two) for one, two in zip(before, after, strict=True)]
    changed = f"the logits of {equal.count(False)} of {len(texts)} texts differ, by up to {max(apart):.2g}"
    return Certificate(
        name="text-only-bit-identical",
        claim="The language model reads text, with the adapter loaded, bit for bit as it does without.",
        passed=all(equal),
        why=f"logits of {len(texts)} texts are bit-identical" if all(equal) else changed,
        measured={
            "texts": len(texts),
            "logits": sum(logits.numel() for logits in before),
            "largest_difference": max(apart),
        },
    )


def _batch_invariance(
    builder: Builder, model: Joined, splits: Mapping[str, Sequence[Example]]
) -> Certificate:
    facts: dict[str, Any] = {
        "name": "batch-invariance",
        "claim": "Loss, logits and greedy text of a clip do not depend on the clips it is batched with.",
    }
    collator = builder.collator(model)
    evaluator = Evaluator(model, collator, builder.experiment.evaluate, metrics=[], seed=0)
    found = next(_mixtures(model, collator, splits), None)
    if found is None:
        return Certificate(**facts, passed=None, why="no split has two clips whose references fit")
    split, clips = found
    measured = invariance(model, collator, clips, evaluator.limit)
    limit = bound(model)
    passed = max(measured.loss, measured.logits) <= limit and not measured.texts
    texts = f"{len(measured.texts)} of {len(clips)} texts differ" if measured.texts else "same texts"
    apart = f"loss differs by {measured.loss:.1g}, logits by {measured.logits:.1g} of the largest"
    return Certificate(
        **facts,
        passed=passed,
        why=f"{len(clips)} clips alone and together: {apart} (bound {limit:g}), {texts}",
        measured={"split": split, "bound": limit, **attrs.asdict(measured)},
    )


def bound(model: Joined) -> float:
    """Return the largest difference that a batch may make in a model of this precision, on its device."""
    kinds = {p.dtype for p in model.parameters()} - {torch.float32}
    if kinds:
        return HALF
    return EXACT if next(model.parameters()).device.type == "cpu" else ELSEWHERE


def _mixtures(
    model: Joined, collator: Collator, splits: Mapping[str, Sequence[Example]]
) -> Iterator[tuple[str, list[Example]]]:
    """Yield for each split that has them some clips of different lengths whose references fit."""
    longest = model.encoder.max_seconds or math.inf
    for name, examples in splits.items():
        try:
            fitting, _ = collator.fitting(sorted_out(examples, 0.0, longest)[0])
        except DataError:  # not one of them can be read, or learned
            continue
        if len(clips := mixed([example for example in fitting if example.text])) > 1:
            yield name, clips


def _references(splits: Mapping[str, Sequence[Example]]) -> list[str]:
    """Return the longest reference of each split."""
    longest = (max((e.text for e in examples), key=len, default="") for examples in splits.values())
    return [text for text in longest if text]


@torch.no_grad()
def _text_logits(decoder: Decoder, texts: Sequence[str]) -> list[torch.Tensor]:
    """Return the logits (S,V) of each text, read by itself."""
    return [_logits_of(decoder, text) for text in texts]


def _logits_of(decoder: Decoder, text: str) -> torch.Tensor:
    ids = decoder.tokenizer(text, add_special_tokens=False)["input_ids"][: decoder.context]
    tokens = torch.tensor([ids or [decoder.eos]], device=decoder.embeddings.device)  # (1,S)
    places = torch.arange(tokens.shape[1], device=tokens.device)[None]
    hidden = decoder.hidden(decoder.embed(tokens), torch.ones_like(tokens), places, None)
    return decoder.logits(hidden)[0].cpu()
