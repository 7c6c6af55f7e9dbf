"""Labelled sound scenes with questions about them, in Clotho-AQA's layout, made from a seed."""
