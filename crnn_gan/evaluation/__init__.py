"""What generated pieces are like beside real ones: reading both, measuring, saying it in words."""
