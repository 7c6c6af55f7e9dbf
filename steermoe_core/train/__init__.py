"""Training: steps, parameter groups, checkpoints and the journal."""
