"""Pieces as pictures, sound and sheet music."""
