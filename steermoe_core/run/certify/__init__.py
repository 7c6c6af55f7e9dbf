"""Which claims about a run hold? Certificates, from its model and from its records."""
