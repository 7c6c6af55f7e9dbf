"""One run: training, scoring, certificates and the folder that it leaves."""
