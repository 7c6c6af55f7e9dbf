"""What does the machine give? Files, cache, hub, terminal."""
