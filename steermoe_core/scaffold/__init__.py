"""A new plugin: a whole distribution from templates, one file of them a kind."""
