"""Originality: how much of a piece is already in the music that is known."""
