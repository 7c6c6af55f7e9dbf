"""What is trained on and scored? Examples from sources of data, their checks, and their batches."""
