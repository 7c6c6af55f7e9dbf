"""What a class says of one of its methods, and whether that holds for a subclass."""

from __future__ import annotations


def holds(kind: type, said: str, of: str) -> bool:
    """Return whether what is said of a method comes from the class that defines the method, or from below.

    A subclass that overrides the method alone computes something else: what it inherits is not about that.
    """
    return next(said in vars(cls) for cls in kind.__mro__ if {said, of} & vars(cls).keys())
