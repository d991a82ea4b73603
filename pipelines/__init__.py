"""Everything before tf.data's output: sources, reading, codecs, records. Knows no Keras."""
