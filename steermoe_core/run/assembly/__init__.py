"""From an experiment to live parts: model, data, collator, metrics, callbacks."""
