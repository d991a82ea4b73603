"""From files of music to tf.data batches: sources, readers, codecs, records. Without Keras."""
