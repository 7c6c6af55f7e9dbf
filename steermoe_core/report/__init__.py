"""Reports: what finished runs have in common and where they differ."""
