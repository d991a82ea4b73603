"""Evaluation of generated pieces against real ones: reading both, and measuring."""
