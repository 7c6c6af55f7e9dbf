"""Which part of a sound each token of a known text is about: by CTC, or by what it attends to.

`forced_alignment` finds the most likely path through the states of CTC: it moves to the same state, the next
one, or over a blank between two different tokens (Graves et al., 2006; the maximum over paths in place of
their sum).

    states   blank, token 1, blank, token 2, …, blank

`attended` finds the audio token that each text token attends to. Only a few attention heads of a decoder
follow the sound; they are those in which a path without a step back collects most weight. Whisper's word
times use a fixed set of heads instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Attention heads whose mean is used, and a share of attention to the audio that hardly counts. Both were
#: chosen on single words, joined.
HEADS, LITTLE = 3, 1e-3


def forced_alignment(emissions: NDArray[np.float32], tokens: Sequence[int]) -> list[tuple[int, int]] | None:
    """Return the first frame of each token, and the one after its last; None if the frames are too few.

    :param emissions: (T,1+Y) log-probabilities of the blank and of each token of the text, as
        `Projector.emissions` returns them.
    :param tokens: Y token ids: equal neighbours need a blank between them.
    """
    frames, states = len(emissions), 2 * len(tokens) + 1
    scores = np.repeat(emissions[:, :1], states, axis=1)  # (T,2Y+1)
    scores[:, 1::2] = emissions[:, 1:]
    skips = np.zeros(states, bool)
    skips[3::2] = np.diff(tokens) != 0
    best = np.full(states, -np.inf)  # of the paths that end in each state
    best[:2] = scores[0, :2]
    moves = np.zeros((frames, states), np.int8)  # how many states back the best path came from
    for frame in range(1, frames):
        before = np.full((3, states), -np.inf)
        before[0], before[1, 1:] = best, best[:-1]
        before[2, 2:] = np.where(skips[2:], best[:-2], -np.inf)
        moves[frame] = before.argmax(0)
        best = before.max(0) + scores[frame]
    state = states - 1 if best[-1] >= best[-2:].max() else states - 2
    if best[state] == -np.inf:
        return None
    path = [state]
    for frame in range(frames - 1, 0, -1):
        path.append(path[-1] - int(moves[frame, path[-1]]))
    places = np.array(path[::-1])
    spans = [np.flatnonzero(places == 2 * number + 1) for number in range(len(tokens))]
    return [(int(span[0]), int(span[-1]) + 1) for span in spans]


def attended(weights: NDArray[np.float32]) -> list[int]:
    """Return which of A audio tokens each of Y text tokens is about; later ones are never about earlier ones.

    :param weights: (heads,Y,A), from each text token to each audio token; Y and A are at least 1.
    """
    shares = weights / (weights.sum(2, keepdims=True) + LITTLE)  # of the attention to the audio
    shares -= shares.mean(1, keepdims=True)  # what all tokens attend to distinguishes none
    ahead = _collected(shares)[-1].max(1)  # (heads,)
    best = np.argsort(-ahead, kind="stable")[:HEADS]
    sums = _collected(shares[best].mean(0, keepdims=True))[:, 0]  # (Y,A)
    path = [int(sums[-1].argmax())]
    for row in sums[-2::-1]:
        path.append(int(row[: path[-1] + 1].argmax()))
    return path[::-1]


def _collected(shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the most that a path from the first token to token y, which ends at a, collects (Y,heads,A)."""
    rows = [shares[:, 0]]
    for number in range(1, shares.shape[1]):
        rows.append(np.maximum.accumulate(rows[-1], axis=1) + shares[:, number])
    return np.stack(rows)
