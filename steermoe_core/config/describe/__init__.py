"""What can an experiment say? Documentation, JSON schema, examples and keys of the settings classes."""
