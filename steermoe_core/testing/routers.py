"""The checks of a router: gates of the right shape, from one frame or utterance each, gradients to all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from steermoe_core.data.padded import Padded
from steermoe_core.model.routers import Router, UtteranceRouter
from steermoe_core.testing.modules import ModuleSuite, backward, numbers, same_tensors, without_gradient
from steermoe_core.testing.suite import needs

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROWS, _TIME, _WIDTH = 3, 7, 12


class RouterSuite(ModuleSuite):
    """Checks of a `Router`.

    :cvar experts: numbers of experts to try; a router that wants more than two names them.
    :cvar layers: rows that it is built for.
    """

    kind = "router"
    experts: Sequence[int] = tuple(range(2, 9))
    layers = 3

    def context(self) -> Sequence[Any]:
        """Return width, experts and layers."""
        return (_WIDTH, max(self.experts), self.layers)

    def check_type(self, part: Any) -> None:
        """Refuse what is no router."""
        self.expect_instance(part, Router)

    @needs("builds")
    def test_gates(self) -> None:
        """Gates are (B,T,E), floating and finite, for every row, few experts and many, large frames too."""
        for experts in self.experts:
            router = self._built(self.selection(), _WIDTH, experts, self.layers).eval()
            for row in range(self.layers):
                for size in (1.0, 100.0):
                    gates = self._gates(router, size * self._frames(), row)
                    shape, wanted = tuple(gates.shape), (_ROWS, _TIME, experts)
                    self.expect(
                        shape == wanted, f"gates at row {row} are {shape}, expected (B,T,E) = {wanted}"
                    )
                    self.expect(
                        gates.is_floating_point(), f"gates are {gates.dtype}, expected floating numbers"
                    )
                    finite = bool(gates.isfinite().all())
                    self.expect(finite, f"gates of frames of size {size:g} hold nan or infinity")

    @needs("determinism")
    def test_own_frame(self) -> None:
        """The gates of a frame depend on it alone, or on its utterance; not on padding or other clips."""
        router = self.seeded()
        utterances = isinstance(router, UtteranceRouter)
        frames = self._frames()
        changed = frames.clone()
        changed[1, 3] += 1.0
        others = torch.ones(_ROWS, _TIME, dtype=torch.bool)
        others[1, slice(None) if utterances else 3] = False
        rule = "compute nothing over the batch" if utterances else "compute nothing over time or batch"
        for row in range(self.layers):
            gates = self._gates(router, frames, row)
            self.expect_close(
                gates[others],
                self._gates(router, changed, row)[others],
                f"one frame was changed, and the gates of others changed at row {row} (by {{}}): {rule}",
            )
            longer = torch.cat([frames, numbers(_ROWS, 4, _WIDTH, seed=3)], 1)
            self.expect_close(
                gates,
                self._gates(router, longer, row, valid=_TIME)[:, :_TIME],
                "with padding behind them frames have other gates (by {})",
            )
            self.expect_close(
                gates[:1],
                self._gates(router, frames[:1], row),
                "alone a clip has other gates than in a batch (by {})",
            )

    @needs("gates")
    def test_determinism(self) -> None:
        """In eval mode the same frames have the same gates, whatever was asked in between."""
        router = self.seeded()
        first = [self._gates(router, self._frames(), row) for row in range(self.layers)]
        for row in reversed(range(self.layers)):
            self.expect_close(
                first[row],
                self._gates(router, self._frames(), row),
                f"the same frames have other gates the second time at row {row} (by {{}}): no noise in eval "
                "mode",
            )

    @needs("gates")
    def test_gradients(self) -> None:
        """The gates have a gradient to every parameter, and to the frames."""
        router, frames = self.seeded(), self._frames().requires_grad_()
        gates = torch.stack([self._gates(router, frames, row) for row in range(self.layers)])
        if gates.requires_grad:
            backward((gates * numbers(*gates.shape, seed=4)).sum())
        missing = without_gradient(router.named_parameters())
        self.expect(
            not missing,
            f"no gradient from the gates reaches {missing[:1]}, so it never learns: use it without detach or "
            "argmax",
        )
        self.expect(
            frames.grad is not None and frames.grad.any(), "no gradient from the gates reaches the frames"
        )

    @needs("gates")
    def test_training(self) -> None:
        """In training mode gates are finite too."""
        router = self.seeded().train()
        gates = [self._gates(router, self._frames(), row) for row in range(self.layers)]
        finite = all(bool(one.isfinite().all()) for one in gates)
        self.expect(finite, "in training mode gates hold nan or infinity")

    @needs("builds")
    def test_same_start(self) -> None:
        """The same seed gives the same initial weights."""
        different = same_tensors(self.seeded(3), self.seeded(3))
        self.expect(
            not different, f"{different[:1]} differs between two builds of one seed: draw it from torch alone"
        )

    @needs("determinism")
    def test_state(self) -> None:
        """What is saved is all there is: loaded into another one, the gates are the same."""
        router, other = self.seeded(1), self.seeded(2)
        other.load_state_dict(router.state_dict())
        for row in range(self.layers):
            self.expect_close(
                self._gates(router, self._frames(), row),
                self._gates(other, self._frames(), row),
                "loaded from its saved tensors a router gives other gates (by {}): hold tensors as "
                "parameters or buffers",
            )

    def _frames(self) -> torch.Tensor:
        return numbers(_ROWS, _TIME, _WIDTH)

    def _gates(self, router: Any, frames: torch.Tensor, row: int, valid: int | None = None) -> torch.Tensor:
        """Return the gates of frames, of which the first are valid in each row; all by default."""
        lengths = torch.full((len(frames),), frames.shape[1] if valid is None else valid)
        gates: torch.Tensor = router.gates(Padded(frames, lengths), row)
        return gates
