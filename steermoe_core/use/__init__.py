"""A trained model at work: transcribing, answering, its page for the hub."""
