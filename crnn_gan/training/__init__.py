"""Phases, checkpoints and callbacks: how every model trains."""
