"""The functions of a loaded SavedModel, called by the signatures that signature.json describes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from crnn_gan.generation.interface import Interface


class LoadedFunctions:
    """`generate`, `serving_default` and `continue_primer` of a loaded module.

    What is called is the signature, whose names, types and outputs were compared with
    signature.json: other attributes of the module, of the same names, are not looked at.
    """

    def __init__(self, module: Any, interface: Interface):
        """Makes it.

        Args:
          module: as tf.saved_model.load gives it.
          interface: of its signature.json.

        Raises:
          ValueError: names the first function that differs from what `interface` says.
        """
        self._module, self._arguments = module, interface.arguments
        for name in interface.functions:
            _require_function(module.signatures[name], name, interface)

    def generate(self, **values: Any) -> dict[str, tf.Tensor]:
        """Calls the signature; what has a default may lack."""
        return self._call("generate", values)

    def serving_default(self, **values: Any) -> dict[str, tf.Tensor]:
        """Calls the signature; all must be given, each [batch]."""
        return self._call("serving_default", values)

    def continue_primer(self, primer: Any, **values: Any) -> dict[str, tf.Tensor]:
        """Calls the signature; what has a default may lack."""
        primer = tf.convert_to_tensor(primer, tf.int32)
        return self._call("continue_primer", values, {"primer": primer})

    def _call(
        self, name: str, values: Mapping[str, Any], more: Mapping[str, tf.Tensor] | None = None
    ) -> dict[str, tf.Tensor]:
        known = {} if name == "serving_default" else self._arguments
        defaults = {n: a.default for n, a in known.items() if a.default is not None}
        tensors = {
            n: tf.convert_to_tensor(value, self._arguments[n].dtype)
            for n, value in (defaults | dict(values)).items()
        }
        made: dict[str, tf.Tensor] = self._module.signatures[name](**tensors, **(more or {}))
        return made


def _require_function(function: Any, name: str, interface: Interface) -> None:
    takes = {n: a.dtype for n, a in interface.arguments.items()}
    if name == "serving_default":
        del takes["count"]
    if name == "continue_primer":
        takes["primer"] = "int32"
    given = {n: s.dtype.name for n, s in function.structured_input_signature[1].items()}
    gives = set(function.structured_outputs)
    if given != takes or gives != set(interface.outputs):
        raise ValueError(
            f"its function {name} takes {_listed(given)} and gives {_listed(gives)}, but "
            f"signature.json says {_listed(takes)} and {_listed(interface.outputs)}"
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
