"""Hyperparameter sweeps: search space, runs, results."""
