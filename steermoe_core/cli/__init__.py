"""The command line: one file a command, argument parsing and printing only."""
