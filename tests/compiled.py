"""How tests of models compile them: as fast as what they assert allows."""

import keras

ON_JAX = keras.backend.backend() == "jax"


def compiled(model, traced=True):
    """Compiles a model for training and gives it.

    Args:
      model: a Keras model.
      traced: whether TensorFlow trains through a graph, as users do. A graph takes longer to trace
        than tests of a few steps take without. JAX always compiles: it would compile each
        operation by itself.
    """
    model.compile(jit_compile=ON_JAX, run_eagerly=not (traced or ON_JAX))
    return model
