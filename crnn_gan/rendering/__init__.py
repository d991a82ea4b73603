"""Rendering of Scores as piano rolls, sound and sheet music."""
