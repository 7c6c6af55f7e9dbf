"""Where do examples come from? A module for each source: folder, jsonl, parquet and disk tables, hub."""
