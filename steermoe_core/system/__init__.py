"""What does the machine give? Files, cache folder, hub client, signals, terminal."""
