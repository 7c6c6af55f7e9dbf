"""How good is it? Greedy answers to a split and to its controls, metrics, intervals, pathologies."""
