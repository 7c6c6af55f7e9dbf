"""How is a split scored? Evaluation, again, knockouts, routing, the encoder's own decoder."""
