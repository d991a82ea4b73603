"""Layers that two families share."""
