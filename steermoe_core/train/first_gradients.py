"""The first gradient of every trained tensor, as `GradientWatch` records it. Cheap to import."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class FirstGradients:
    """Norms of the first step, and what came later.

    :param norms: of the first step by tensor; None: no gradient, or not finite.
    :param later: the step at which a tensor without one had its first.
    :param zeros: tensors that were all zero in the first step: what they are multiplied with has no gradient.
    """

    norms: dict[str, float | None]
    later: dict[str, int] = attrs.field(factory=dict)
    zeros: list[str] = attrs.field(factory=list)

    @property
    def missing(self) -> list[str]:
        """Tensors that have had no gradient yet: finite, and not zero."""
        return [name for name, norm in self.norms.items() if not norm and name not in self.later]
