"""Originality: how much of a piece occurs in reference pieces, such as the training data."""
