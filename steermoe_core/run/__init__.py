"""Runs: from a resolved experiment to a run folder, and from a run folder to a model."""
