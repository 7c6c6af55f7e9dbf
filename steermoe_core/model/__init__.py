"""The joined model: frozen encoder, steering adapter, projector, frozen decoder."""
