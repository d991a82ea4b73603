"""Arrays of NumPy's .npz files, bounded while they are read."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np

from pipelines.formats.zip_members import open_archive, read_member


class NpzArrays:
    """An open .npz file.

    Raises:
      ValueError: on opening it or reading an array: it is damaged, pickled, has no such array, or
        one that is larger than the bound or than its own content.
      OSError: the path cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str], largest_bytes: int) -> None:
        """Opens a file.

        Args:
          largest_bytes: of an array, unpacked.
        """
        self._largest_bytes = largest_bytes
        self._file = Path(path).open("rb")  # noqa: SIM115 - closed by __exit__.
        try:
            self._packed: zipfile.ZipFile = open_archive(self._file)
        except ValueError:
            self._file.close()
            raise

    def __enter__(self) -> NpzArrays:
        return self

    def __exit__(self, *_: object) -> None:
        self._packed.close()
        self._file.close()

    def __getitem__(self, name: str) -> np.ndarray:
        return parse_array(read_member(self._packed, f"{name}.npy", self._largest_bytes))


def parse_array(content: bytes) -> np.ndarray:
    """Gives the array of an .npy file, read-only.

    Raises:
      ValueError: it is damaged, pickled, or its content is of another size than its header says.
    """
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        header = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        header = np.lib.format.read_array_header_2_0(stream)
    else:
        raise ValueError(f"an array has a header of version {version}")
    shape, is_fortran, dtype = header
    if dtype.hasobject:
        raise ValueError("an array is pickled")
    count = 1
    for size in shape:
        count *= int(size)
    left = len(content) - stream.tell()
    if min(shape, default=0) < 0 or count * dtype.itemsize != left:
        raise ValueError(f"an array of {shape} has {left} bytes")
    array = np.frombuffer(content, dtype, count, stream.tell())
    return array.reshape(shape, order="F" if is_fortran else "C")
