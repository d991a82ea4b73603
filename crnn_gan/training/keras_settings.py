"""What Keras is set to, whatever the user's own ~/.keras/keras.json says.

That file is for all programs of a user: a backend, a type or a format that another one needs would
change what is trained here, or end it.
"""

from __future__ import annotations

import os
import sys

from pipelines.settings import UsageError

BACKENDS = ("tensorflow", "jax")


def apply() -> None:
    """Imports Keras on the backend that KERAS_BACKEND names, by default TensorFlow, in float32.

    Raises:
      UsageError: KERAS_BACKEND names another backend, or one that is not installed.
    """
    if "keras" not in sys.modules:
        backend = os.environ.setdefault("KERAS_BACKEND", BACKENDS[0])
        if backend not in BACKENDS:
            raise UsageError(
                f"KERAS_BACKEND is {backend!r}; models run on tensorflow and jax: set one of them, "
                "or unset it"
            )
    try:
        import keras
    except ModuleNotFoundError as error:
        if error.name != os.environ["KERAS_BACKEND"]:
            raise
        raise UsageError(
            f"KERAS_BACKEND is {error.name!r}, which is not installed: run/setup.sh {error.name} "
            "installs it"
        ) from None
    if keras.backend.backend() not in BACKENDS:
        raise UsageError(
            f"Keras is on {keras.backend.backend()!r} in this process; models run on tensorflow "
            "and jax: set KERAS_BACKEND before Keras is imported"
        )
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
