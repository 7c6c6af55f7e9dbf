"""How does an experiment become live parts? Model, data, collator, metrics, callbacks."""
