"""What would a run be? Plan, memory, data and overlap, without loading a weight."""
