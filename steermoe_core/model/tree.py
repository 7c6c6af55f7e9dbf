"""Answers to one row as a tree: a beginning that several of them share is computed once.

    answers   press one, press two to, right       row   … audio after │ press one two to right
    tree      press ── one                          sees                 its own ancestors only
                   └── two ── to
              right

Each position of the row attends to what is before the answers and to the tokens that lead to it, so that one
pass gives what a row for each answer would give.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import torch
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What the first tokens of answers follow.
ROOT = -1


@attrs.frozen(eq=False)
class Tree:
    """The tokens of several answers, each beginning once.

    :param tokens: of the nodes, in an order in which parents come first.
    :param parents: the node before each; `ROOT` for a first token.
    :param paths: the nodes of each answer in order.
    """

    tokens: list[int]
    parents: list[int]
    paths: list[list[int]]

    @classmethod
    def of(cls, answers: Sequence[Sequence[int]]) -> Tree:
        """Return the tree of these answers."""
        numbers: dict[tuple[int, int], int] = {}  # (parent, token) → node, in order
        paths = []
        for answer in answers:
            node, path = ROOT, list[int]()
            for token in answer:
                node = numbers.setdefault((node, token), len(numbers))
                path.append(node)
            paths.append(path)
        return cls([token for _, token in numbers], [parent for parent, _ in numbers], paths)

    def depths(self) -> list[int]:
        """Return how many tokens come before each node."""
        found: list[int] = []
        for parent in self.parents:
            found.append(0 if parent == ROOT else found[parent] + 1)
        return found

    def seen(self, before: int) -> torch.Tensor:
        """Return what each position attends to (S,S), for a row of S positions: `before`, then the nodes."""
        size = before + len(self.tokens)
        seen = torch.ones(size, size, dtype=torch.bool, device="cpu").tril()
        seen[before:, before:] = False
        for node, parent in enumerate(self.parents):
            if parent != ROOT:
                seen[before + node, before:] = seen[before + parent, before:]
            seen[before + node, before + node] = True
        return seen

    def predictions(self, end: int) -> tuple[list[int], list[int]]:
        """Return what is to be predicted, and where: each node once, then the end token of each answer.

        :returns: positions, 0 for the root and 1 + n for node n, and the token that follows there.
        """
        ends = [path[-1] if path else ROOT for path in self.paths]
        return [1 + node for node in (*self.parents, *ends)], [*self.tokens, *(end for _ in ends)]

    def sums(self, losses: torch.Tensor) -> torch.Tensor:
        """Return the loss of each answer with its end token (N,), from those of the predictions."""
        ends = losses[len(self.tokens) :]
        return torch.stack([losses[path].sum() + end for path, end in zip(self.paths, ends, strict=True)])


def additive(seen: torch.Tensor, before: int, like: torch.Tensor) -> torch.Tensor:
    """Return the attention mask (1,1,S,P+S) to add to scores, for P positions that all others see.

    :param seen: (S,S), what each position attends to.
    :param before: P.
    :param like: a tensor of the mask's device and dtype.
    """
    hidden = ~F.pad(seen, (before, 0), value=True).to(like.device)
    return like.new_zeros(hidden.shape).masked_fill(hidden, torch.finfo(like.dtype).min)[None, None]
