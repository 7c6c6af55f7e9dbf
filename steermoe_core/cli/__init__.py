"""What does a command accept and print? One file a command, argument parsing and printing only."""
