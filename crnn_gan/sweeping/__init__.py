"""What a sweep is made of: its settings, its runs, what they came to."""
