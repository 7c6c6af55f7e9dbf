"""Many runs: sweeps, ladders, launches, comparison, tables."""
