"""Certificates that need the model: it is built again, and the adapter is loaded as for any use."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import attrs
import torch

from steermoe_core.data.usable import filtered
from steermoe_core.errors import DataError
from steermoe_core.evaluate.evaluation import Evaluator
from steermoe_core.evaluate.invariance import EXACT, in_fp64, invariance, mixed, rounding
from steermoe_core.run.assembly.device import available, move
from steermoe_core.run.folder import adapter
from steermoe_core.run.folder.records import AdapterCard, Certificate, Lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from steermoe_core.data.collator import Collator
    from steermoe_core.data.example import Example
    from steermoe_core.evaluate.invariance import Invariance
    from steermoe_core.model.decoder import Decoder
    from steermoe_core.model.joined import Joined
    from steermoe_core.run.assembly.builder import Builder
    from steermoe_core.run.folder.run_folder import RunFolder

#: Read by the language model alone, with references of the run's own clips.
_TEXTS = ("The quick brown fox jumps over the lazy dog.", "1 + 1 =")
#: Bytes of a number in fp64.
_FP64 = 8


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
    with model.text_only():
        after = _text_logits(decoder, texts)
    return [
        _frozen(folder, loaded, adapter.identity(model)),
        _text_only(texts, before, after),
        independent,
    ], model


def _frozen(folder: RunFolder, loaded: dict[str, str], used: dict[str, str]) -> Certificate:
    """Compare the identities of the frozen parts at every time that there is a record of."""
    card, lock = AdapterCard.read(folder.adapter / "adapter.json"), Lock.find(folder.lock)
    saved = {part: one.sha256 for part, one in card.frozen.items()}
    times = {
        "before training": lock.frozen if lock else {},
        "after training": folder.read_evidence().frozen,
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
        claim="The language model reads text as it did before training, bit for bit; adapters on it are off.",
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
    collator, config = builder.collator(model), builder.experiment.evaluate
    text = f"the text chosen of CTC's {config.nbest}" if config.nbest else "greedy text"
    certificate = partial(
        Certificate,
        name="batch-invariance",
        claim=f"Loss, logits and {text} of a clip do not depend on the clips it is batched with.",
    )
    evaluator = Evaluator(model, collator, config, metrics=[], seed=0)
    found = next(_mixtures(model, collator, splits), None)
    if found is None:
        return certificate(passed=None, why="no split has two clips whose references fit")
    split, clips = found
    measure = partial(invariance, evaluator, clips)
    measured = measure()
    exact = None if measured.exact else _in_fp64(model, measure)
    bound = EXACT if measured.exact or exact else rounding(model)
    why = f"{len(clips)} clips alone and together: {_apart(measured)}"
    return certificate(
        passed=exact.exact if exact else measured.exact or measured.within(bound),
        why=f"{why}; in fp64 {_apart(exact)} (bound {bound:g})" if exact else f"{why} (bound {bound:g})",
        measured={
            "split": split,
            "bound": bound,
            "nbest": config.nbest,
            **attrs.asdict(measured),
            "fp64": attrs.asdict(exact) if exact else None,
        },
    )


def _apart(found: Invariance) -> str:
    apart = f"loss differs by {found.loss:.1g}, logits by {found.logits:.1g} of the largest"
    if not found.texts:
        return f"{apart}, same texts"
    texts = f"{apart}, {len(found.texts)} of {len(found.clips)} texts differ"
    if found.texts == found.ties:
        return f"{texts} at a tie"
    return f"{texts}, {len(found.ties)} of them at a tie" if found.ties else texts


def _in_fp64(model: Joined, measure: Callable[[], Invariance]) -> Invariance | None:
    """Measure in fp64, on a CPU; None where a part cannot compute in it, or memory is short."""
    weights = sum(tensor.numel() for tensor in model.parameters())
    if next(model.parameters()).device.type != "cpu" or _FP64 * weights > available():
        return None
    try:
        with in_fp64(model):
            return measure()
    except (RuntimeError, TypeError, NotImplementedError):  # a part that insists on its precision
        return None


def _mixtures(
    model: Joined, collator: Collator, splits: Mapping[str, Sequence[Example]]
) -> Iterator[tuple[str, list[Example]]]:
    """Yield for each split that has them some clips of different lengths whose references fit."""
    longest = model.encoder.max_seconds or math.inf
    for name, examples in splits.items():
        try:
            fitting, _ = collator.fitting(filtered(examples, 0.0, longest)[0])
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
