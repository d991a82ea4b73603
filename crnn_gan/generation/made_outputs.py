"""What a model made, checked before it is read: an exported model may give anything."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

# Of each output that is a file the outputs that are read with it: the kind of their numbers, "O"
# of bytes, and the shape of one piece.
READ: dict[str, dict[str, tuple[str, tuple[int | None, ...]]]] = {
    "midi_bytes": {"midi_bytes": ("O", ()), "notes": ("i", (None, 4)), "note_count": ("i", ())},
    "text": {"text": ("O", ())},
    "wav_bytes": {"wav_bytes": ("O", ())},
}


def require_outputs(made: Mapping[str, np.ndarray], file: str, pieces: int) -> None:
    """Checks the outputs from which files of music and what is said of them come.

    Args:
      made: all outputs by name.
      file: which of them is a file.
      pieces: how many were asked for.

    Raises:
      ValueError: one is missing, or is of another type or shape.
    """
    for name, (kind, shape) in READ[file].items():
        if name not in made:
            raise ValueError(f"the model gives no {name}, which belongs to {file}")
        value = np.asarray(made[name])
        wanted = (pieces, *shape)
        is_shape = value.ndim == len(wanted) and all(
            size is None or size == there for size, there in zip(wanted, value.shape, strict=True)
        )
        is_kind = value.dtype.kind == kind and (kind != "O" or _is_bytes(value))
        if not is_shape or not is_kind:
            words = "bytes" if kind == "O" else "whole numbers"
            raise ValueError(
                f"the model gives {name} of {value.dtype} {list(value.shape)}; expected {words} "
                f"[{', '.join('any' if size is None else str(size) for size in wanted)}]"
            )


def _is_bytes(values: np.ndarray) -> bool:
    return all(isinstance(value, bytes) for value in values.ravel())
