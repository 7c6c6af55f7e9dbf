"""What does a training step cost? Its operations and memory, on a named GPU or measured on this machine."""
