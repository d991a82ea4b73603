"""Models that learn to write classical music, how they train and what they export."""
