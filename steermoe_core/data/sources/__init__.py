"""Where do examples come from? Folders, manifests, tables, the hub."""
