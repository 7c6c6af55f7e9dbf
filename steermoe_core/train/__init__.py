"""How is it fitted? Steps, parameter groups, checkpoints, the journal; DeepSpeed."""
