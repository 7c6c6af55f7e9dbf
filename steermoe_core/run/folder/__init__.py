"""What does a run leave behind? The only readers and writers of its files."""
