"""What is computed? The joined model: frozen encoder, adapter, projector, frozen decoder."""
