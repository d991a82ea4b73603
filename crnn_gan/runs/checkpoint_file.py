"""The files of a checkpoint as others may have changed them: read, and never more than they say.

A checkpoint is a folder `epoch-NNNNNN` with `manifest.json` and `state.npz`, an archive that is not
compressed. What the archive declares is compared with the manifest before its arrays are read, and
the manifest with the model by whoever asks, so a reader takes no more memory than the model has.
"""

from __future__ import annotations

import contextlib
import math
import re
import struct
import tokenize
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Annotated, Any, TypedDict

import numpy as np

from pipelines.json_file import read_json, shown
from pipelines.json_schema import value_of
from pipelines.music_files import file_sha256
from pipelines.settings import Bounds

FORMAT = 2  # Of the manifest. The first knew variables by position and is not read.
MANIFEST, STATE = "manifest.json", "state.npz"
MEMBER_BYTES = 8192  # At most, of a variable in the archive beside its values and its path.
BYTES_AT_ONCE = 2**20
Count = Annotated[int, Bounds(at_least=0)]
# What zipfile and NumPy raise of an archive that somebody changed.
UNREADABLE = (
    *(OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, MemoryError, SyntaxError),
    *(zipfile.BadZipFile, struct.error, tokenize.TokenError),
)
NAME = re.compile(r"epoch-([0-9]{6,9})")


class CheckpointError(OSError):
    """A checkpoint that could not be written, or is of another model."""


class DamagedError(CheckpointError):
    """A checkpoint that cannot be read, or whose hash is not that of its manifest."""


class Variable(TypedDict):
    """Path, shape and dtype of a variable."""

    path: str
    shape: list[Count]
    dtype: str


class Manifest(TypedDict):
    """What a checkpoint holds."""

    format: int
    epoch: Annotated[int, Bounds(at_least=1)]
    bytes: Count
    sha256: str
    variables: list[Variable]


def name_of(epoch: int) -> str:
    """Gives the name of the checkpoint of an epoch."""
    return f"epoch-{epoch:06d}"


def epoch_of(path: Path) -> int | None:
    """Gives the epoch of a checkpoint by its name; None of what is none, `epoch-000013.bak`."""
    match = NAME.fullmatch(path.name)
    epoch = int(match[1]) if match else 0
    return epoch if epoch and name_of(epoch) == path.name else None


def read_manifest(path: Path) -> Manifest:
    """Reads the manifest of a checkpoint, and looks whether its archive is the one it describes.

    Raises:
      DamagedError: it cannot be read; its hash, its epoch or what its archive declares is not
        that of its manifest.
      CheckpointError: it was written by a version that knew variables by position.
    """
    with _damage_named(path):
        values = value_of(dict[str, Any], read_json(path / MANIFEST))
        state, written = path / STATE, values.get("format", 1)
        if values.get("sha256") != file_sha256(state):
            raise ValueError("its hash is not that of its manifest")
        if written != FORMAT:
            raise CheckpointError(
                f"{path} was written by another version of this program, whose checkpoints are not "
                f"read (format {shown(written)}, this is {FORMAT}): train again in another "
                "--run_dir, or use the version that config.json names"
            )
        manifest: Manifest = value_of(Manifest, values)
        if manifest["epoch"] != epoch_of(path):
            raise ValueError(f"its manifest is of epoch {manifest['epoch']}")
        _refuse_size(state.stat().st_size, manifest)
        with zipfile.ZipFile(state) as archive:
            _refuse_members(archive, manifest["variables"])
        return manifest


def read_arrays(path: Path, variables: Collection[Variable]) -> dict[str, np.ndarray]:
    """Reads the arrays of some variables by path, as a manifest that was read describes them.

    Raises:
      DamagedError: one cannot be read, or is not what the manifest says.
    """
    with _damage_named(path), zipfile.ZipFile(path / STATE) as archive:
        return {variable["path"]: _array(archive, variable) for variable in variables}


def verify(path: Path) -> None:
    """Reads a checkpoint to its end, keeping nothing of it.

    Raises:
      DamagedError: as `read_manifest` and `read_arrays`.
      CheckpointError: as `read_manifest`.
    """
    read_manifest(path)
    with _damage_named(path), zipfile.ZipFile(path / STATE) as archive:
        for member in archive.infolist():
            with archive.open(member) as file:
                while file.read(BYTES_AT_ONCE):
                    pass


@contextlib.contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except CheckpointError:
        raise
    except UNREADABLE as error:
        raise DamagedError(f"{path} is damaged ({error})") from None


def _refuse_size(size: int, manifest: Manifest) -> None:
    """Refuses an archive that is larger than what it has to hold."""
    most = sum(_bytes(v) + MEMBER_BYTES + 4 * len(v["path"]) for v in manifest["variables"])
    if size != manifest["bytes"] or size > most + MEMBER_BYTES:
        raise ValueError(f"{STATE} has {size:,} bytes, which is not what its manifest describes")


def _refuse_members(archive: zipfile.ZipFile, variables: list[Variable]) -> None:
    """Refuses an archive whose members are not the variables; reads their headers only."""
    members = archive.infolist()
    if [member.filename for member in members] != [f"{v['path']}.npy" for v in variables]:
        raise ValueError("its arrays are not those of its manifest")
    for member, variable in zip(members, variables, strict=True):
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise ValueError(f"{member.filename} is compressed, which no array of ours is")
        if member.file_size > _bytes(variable) + MEMBER_BYTES:
            raise ValueError(f"{member.filename} is larger than its variable")
        with archive.open(member) as file:
            _read_header(file, variable)


def _array(archive: zipfile.ZipFile, variable: Variable) -> np.ndarray:
    with archive.open(f"{variable['path']}.npy") as file:
        by_columns = _read_header(file, variable)
        content = file.read(_bytes(variable))
        if len(content) != _bytes(variable) or file.read(1):
            raise ValueError(f"{variable['path']} has not the size of its shape")
    array = np.frombuffer(content, variable["dtype"])
    return array.reshape(variable["shape"], order="F" if by_columns else "C")


def _read_header(file: IO[bytes], variable: Variable) -> bool:
    """Compares the header of an array with its variable; gives whether it lies by columns."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{variable['path']} is of the version {version} of NumPy's format")
    read = np.lib.format.read_array_header_1_0
    shape, by_columns, dtype = (
        read(file) if version == (1, 0) else np.lib.format.read_array_header_2_0(file)
    )
    if (list(shape), str(dtype)) != (variable["shape"], variable["dtype"]):
        raise ValueError(
            f"its arrays are not those of its manifest: {variable['path']} is {dtype} "
            f"{list(shape)}, not {variable['dtype']} {variable['shape']}"
        )
    return bool(by_columns)


def _bytes(variable: Variable) -> int:
    """The bytes of a variable's values; its dtype is one of a number."""
    try:
        dtype = np.dtype(variable["dtype"])
    except TypeError:
        raise ValueError(f"{shown(variable['dtype'])} is no type of numbers") from None
    if dtype.kind not in "biuf":
        raise ValueError(f"{variable['path']} is of {shown(variable['dtype'])}, which is no number")
    return math.prod(variable["shape"]) * dtype.itemsize
