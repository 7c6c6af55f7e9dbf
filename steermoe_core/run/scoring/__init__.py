"""How is a split scored? Model and controls, knockouts, routing, the encoder's own decoder."""
