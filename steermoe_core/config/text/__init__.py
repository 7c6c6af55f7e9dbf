"""TOML with positions: reading, layers (`extends`, `--set`, sweep axes), writing, quoting a line."""
