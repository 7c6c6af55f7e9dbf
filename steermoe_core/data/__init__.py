"""Audio and texts: examples, their checks, and the batches that they become."""
