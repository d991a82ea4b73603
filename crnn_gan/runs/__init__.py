"""A training run: its directory, its configuration, checkpoints and tables."""
