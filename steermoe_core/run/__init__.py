"""What happens in one run? Preview, training, scoring, certificates, and the folder that it leaves."""
