"""A run folder, or several, as one page to look at: read, put together, drawn."""
