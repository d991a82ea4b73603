"""Two networks against each other: losses, phases and what keeps them in step."""
