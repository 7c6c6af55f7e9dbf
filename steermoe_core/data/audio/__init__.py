"""How does audio become waveforms? Decoding, lengths, spans, stored features."""
