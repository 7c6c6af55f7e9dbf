"""One module a tracker; each imports its library when a run starts."""
