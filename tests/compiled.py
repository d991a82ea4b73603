"""How tests of models compile them: as fast as what they assert allows."""

from collections.abc import Callable
from typing import Any

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


def as_one_graph(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a function of arrays as one graph on JAX, which would compile each operation by itself;
    on TensorFlow as it is. Weights are those of the first call."""
    if not ON_JAX:
        return function
    import jax

    return jax.jit(lambda *arrays: function(*arrays))
