"""Scores: generation over a split, metrics and their intervals."""
