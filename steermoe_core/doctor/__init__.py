"""What is wrong with an installation, and the command that mends each thing; imports nothing heavy."""
