"""What tf.data gives: windows of pieces in memory or on disk, moved, stretched, conditioned."""
