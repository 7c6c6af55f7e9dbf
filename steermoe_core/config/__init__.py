"""Experiment files: reading, merging, checking and completing them."""
