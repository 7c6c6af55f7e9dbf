"""Where is each key written? TOML with positions: read, layer (`extends`, `--set`, axes), write, quote."""
