"""Models that learn to write classical music, how they train and what they export."""

import pipelines  # noqa: F401  # Its first lines are for the commands of both packages.
