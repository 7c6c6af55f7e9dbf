"""What does this file say? Experiment files read, merged, checked, completed; the cells of a sweep."""
