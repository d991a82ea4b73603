"""Classes of a piece, such as genre and composer, that are generated along with its music."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops


class ClassGenerator(keras.Model):
    """noise [batch, noise_size] -> probabilities of all classes side by side, [batch, sum(sizes)].

    A hidden layer and one softmax over them all, as the code of C-RNN-GAN has it.

    Args:
      classes: names of the values of each class, by the name of the class.
      units: of the hidden layer.
      noise_per_class: random numbers for each value of a class; there is one at least.
      initializer: of the kernels.
    """

    def __init__(
        self,
        classes: Mapping[str, Sequence[str]],
        units: int,
        noise_per_class: float,
        initializer: Any,
        name: str = "class_generator",
    ):
        size = sum(map(len, classes.values()))
        noise_size = max(1, int(noise_per_class * size))
        noise = keras.Input((noise_size,))
        hidden = keras.layers.Dense(units, "relu", kernel_initializer=initializer)(noise)
        output = keras.layers.Dense(
            size, "softmax", kernel_initializer=initializer, dtype="float32"
        )(hidden)
        super().__init__(inputs=noise, outputs=output, name=name)
        self.sizes = {class_name: len(values) for class_name, values in classes.items()}
        self.noise_size = noise_size

    def one_hot(self, batch: Mapping[str, Any]) -> Any:
        """Gives the true classes of a batch, one-hot side by side: float32 [batch, sum(sizes)].

        Args:
          batch: int32 [batch] by the name of each class.
        """
        columns = [ops.one_hot(batch[name], size) for name, size in self.sizes.items()]
        return ops.concatenate(columns, axis=-1)


def beside_each_step(x: Any, vector: Any) -> Any:
    """Joins x with a vector that is the same at each step: [batch, time, features + size].

    Args:
      x: [batch, time, features].
      vector: [batch, size]; None leaves x as it is.
    """
    if vector is None:
        return x
    vector = ops.broadcast_to(vector[:, None], (*ops.shape(x)[:2], vector.shape[-1]))
    return ops.concatenate([x, ops.cast(vector, x.dtype)], axis=-1)
