"""Models of likelihood that write one step after another."""
