"""What prepare is made of: tasks, parts, the plan, shards, and the card."""
