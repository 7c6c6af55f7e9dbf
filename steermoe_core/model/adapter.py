"""The interface of adapters: a tap for a frozen tower's layers, a step after its last one, parameter groups.

A tower is the encoder or the decoder. An adapter works on one of them and sees the same of either: the
outputs of its layers as `Padded` frames, which for the decoder are the positions of a sequence.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from steermoe_core.data.padded import Padded

#: Identifies a group of clips.
Group = TypeVar("Group")
#: Called with a steered layer's row and its gates (B,T,E); returns the gates to use instead.
Change = Callable[[int, torch.Tensor], torch.Tensor]


class Adapter(nn.Module):
    """Trained parameters inside or right after a frozen tower: the encoder or the decoder.

    :ivar first_layer: number of the first layer whose output it changes; None if it leaves the tower
        untouched, so that the encoder's output may be cached.
    :ivar penalty_name: name of its `penalty` in metrics.jsonl.
    """

    first_layer: int | None = None
    penalty_name: str = "penalty"

    def tap(self, layer: int, frames: Padded) -> Padded:
        """Return the input (B,T,D) of the layer after ``layer``, given the output (B,T,D) of ``layer``."""
        return frames

    def after(self, frames: Padded) -> Padded:
        """Return what follows the tower: the input (B,T,D) of the projector, or of the decoder's head.

        :param frames: the output (B,T,D) of the tower.
        """
        return frames

    def prompt(self) -> torch.Tensor | None:
        """Return embeddings (P,H) before every sequence of the decoder; None for none."""
        return None

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Switch off inside the block what the adapter has put into the tower; taps are not called then."""
        yield

    def merge(self) -> None:
        """Fold into the frozen weights what can be folded, for inference: same outputs, less time."""

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Return the trainable parameters by learning-rate group."""
        return {}

    def extend(self, answers: Iterable[list[int]]) -> str | None:
        """Prepare for the training data of a run that starts from this adapter, trained elsewhere.

        Its tensors are loaded; trained ones keep their values, and all keep their shapes. An adapter that
        cannot be trained on with these data raises a `UsageError` that says why.

        :param answers: token ids of every training answer; none where the adapter is only scored.
        :returns: a note for the user on what was added; None if nothing was.
        """
        return None

    def penalty(self) -> torch.Tensor | None:
        """Return the term that the last forward pass adds to the loss, a mean; None if it adds none."""
        return None

    def losses(self) -> dict[str, torch.Tensor]:
        """Return all terms that the last forward pass adds to the loss, by name, and forget them.

        Each is a mean over the batch's answer tokens, frames or clips, with its weight. Names are lower-case
        letters, digits and dashes; terms of one name add up. metrics.jsonl has them as `losses`.
        """
        penalty = self.penalty()
        return {} if penalty is None else {self.penalty_name: penalty}

    def watch(self) -> None:
        """Start to collect statistics of the forward passes that follow."""

    def statistics(self) -> list[dict[str, Any]]:
        """Return a record for each layer of the statistics since `watch`, and stop collecting."""
        return []

    def grouped_statistics(self, groups: Mapping[Group, Sequence[int]]) -> dict[Group, list[dict[str, Any]]]:
        """Return the same for groups of clips, and continue to collect.

        :param groups: numbers of the clips of each, in the order in which they came since `watch`.
        """
        return {group: [] for group in groups}

    def mean_gates(self) -> torch.Tensor:
        """Return the mean gates (L,E) since `watch`, and continue to collect."""
        return torch.zeros(0, 0)

    @contextmanager
    def rerouted(self, change: Change) -> Iterator[None]:
        """Replace the router's gates inside the block; without effect where there are none.

        :param change: called with a steered layer's row and its gates (B,T,E); returns those to use instead.
        """
        yield


class NoAdapter(Adapter):
    """Trains nothing in the towers: with a linear projector this is the projection-only ablation."""

    def __init__(self, config: object = None, *context: object) -> None:
        super().__init__()


class Adapters(Adapter):
    """Several adapters as one, each seeing what the one before it returns.

    :param parts: the adapters.
    :param prefixes: of the layers' names in the statistics of each.
    """

    def __init__(self, parts: Sequence[Adapter], prefixes: Sequence[str] = ()) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.prefixes = prefixes or [""] * len(parts)
        firsts = [part.first_layer for part in parts if part.first_layer is not None]
        self.first_layer = min(firsts, default=None)

    @property
    def adapters(self) -> list[Adapter]:
        """The adapters."""
        return list(self.parts)  # type: ignore[arg-type] # a ModuleList holds any module

    def tap(self, layer: int, frames: Padded) -> Padded:
        for part in self.adapters:
            frames = part.tap(layer, frames)
        return frames

    def after(self, frames: Padded) -> Padded:
        for part in self.adapters:
            frames = part.after(frames)
        return frames

    def prompt(self) -> torch.Tensor | None:
        prompts = [prompt for part in self.adapters if (prompt := part.prompt()) is not None]
        return torch.cat(prompts) if prompts else None

    @contextmanager
    def disabled(self) -> Iterator[None]:
        with ExitStack() as stack:
            for part in self.adapters:
                stack.enter_context(part.disabled())
            yield

    def merge(self) -> None:
        for part in self.adapters:
            part.merge()

    def groups(self) -> dict[str, list[nn.Parameter]]:
        groups: dict[str, list[nn.Parameter]] = {}
        for part in self.adapters:
            for name, parameters in part.groups().items():
                groups.setdefault(name, []).extend(parameters)
        return groups

    def extend(self, answers: Iterable[list[int]]) -> str | None:
        every = list(answers)
        return "; ".join(note for part in self.adapters if (note := part.extend(every))) or None

    def losses(self) -> dict[str, torch.Tensor]:
        losses: dict[str, torch.Tensor] = {}
        for part in self.adapters:
            for name, loss in part.losses().items():
                losses[name] = losses[name] + loss if name in losses else loss
        return losses

    def watch(self) -> None:
        for part in self.adapters:
            part.watch()

    def statistics(self) -> list[dict[str, Any]]:
        return [record for part, at in self._each() for record in _named(part.statistics(), at)]

    def grouped_statistics(self, groups: Mapping[Group, Sequence[int]]) -> dict[Group, list[dict[str, Any]]]:
        found: dict[Group, list[dict[str, Any]]] = {group: [] for group in groups}
        for part, at in self._each():
            for group, records in part.grouped_statistics(groups).items():
                found[group] += _named(records, at)
        return found

    def mean_gates(self) -> torch.Tensor:
        """Return the mean gates (L,E) of all adapters; where one has fewer experts, zeros fill its rows."""
        gates = [part.mean_gates() for part in self.adapters]
        experts = max((one.shape[1] for one in gates), default=0)
        return torch.cat([nn.functional.pad(one, (0, experts - one.shape[1])) for one in gates])

    @contextmanager
    def rerouted(self, change: Change) -> Iterator[None]:
        with ExitStack() as stack:
            first = 0
            for part in self.adapters:
                stack.enter_context(part.rerouted(_shifted(change, first)))
                first += len(part.mean_gates())
            yield

    def _each(self) -> Iterator[tuple[Adapter, str]]:
        return zip(self.adapters, self.prefixes, strict=True)


def combined(parts: Sequence[Adapter]) -> Adapter:
    """Return the adapters of a tower as one."""
    if not parts:
        return NoAdapter()
    return parts[0] if len(parts) == 1 else Adapters(parts)


def _named(records: list[dict[str, Any]], prefix: str) -> list[dict[str, Any]]:
    return [{**record, "layer": f"{prefix}{record['layer']}"} for record in records] if prefix else records


def _shifted(change: Change, first: int) -> Change:
    return lambda row, gates: change(first + row, gates)
