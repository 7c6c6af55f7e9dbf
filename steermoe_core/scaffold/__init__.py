"""How does a new plugin begin? A whole distribution from templates, one file of them a kind."""
