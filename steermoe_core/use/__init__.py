"""What can a trained model do? Transcribe, answer, be shared: its page for the hub."""
