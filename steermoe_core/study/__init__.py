"""How do many runs, or the ranks of one, work together? Sweep, ladder, launch, comparison, tables."""
