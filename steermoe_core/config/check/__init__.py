"""What is wrong with an experiment? Types, limits, contradictions, capabilities."""
