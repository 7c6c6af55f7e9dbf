"""Many synthetic voices that read varied English: flite, hibari, Kokoro-82M and a Piper voice."""
