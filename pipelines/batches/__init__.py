"""Batches: windows of prepared pieces in tf.data, with augmentation and conditions."""
