"""The stages of prepare: tasks, parts, the plan, shards, and the data card."""
