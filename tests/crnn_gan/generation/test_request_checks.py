"""Assertions of an exported graph about what it is asked for."""

import numpy as np
import pytest
import tensorflow as tf

from crnn_gan.generation.request_checks import primer_checks
from pipelines.codecs import cells

pytestmark = pytest.mark.tensorflow_only
CODEC = cells.Codec(tones_per_cell=1, times=(0, 6), lengths=(6,), velocities=(64,))


@pytest.mark.parametrize(("field", "category"), [(1, 2), (3, -1), (5, 1)])
def test_a_primer_with_a_category_that_its_field_has_not_is_refused_in_words(field, category):
    def run(primer):
        with tf.control_dependencies(primer_checks(primer, CODEC.spec)):
            return tf.identity(primer)

    primer = np.zeros((3, 6), np.int32)
    # As in an exported graph.
    checked = tf.function(run, input_signature=[tf.TensorSpec([None, 6], tf.int32)])
    np.testing.assert_array_equal(checked(primer), primer)
    primer[1, field] = category
    fields = "beat_phase 0 to 11, time 0 to 1, tones 0 to 0, pitch 1 0 to 127"
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"none; give {fields}, length 1"):
        checked(primer)
