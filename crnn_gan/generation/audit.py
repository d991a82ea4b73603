"""Audit of a SavedModel: finds what generating music does not need, without loading it.

A SavedModel is a program. Its graph may read and write any file that the user may, and
TensorFlow runs it without a word. A model that makes music needs numbers only: what
`allowed_operations.py` does not list is refused, wherever it stands. This is a seat belt and no
wall: it bounds what a model may touch, not how long it computes (SECURITY.md).

Every loader goes through `audited_copy`: what is audited is what is loaded, whatever happens to
the folder meanwhile.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from pipelines.leftovers import FOLDER_END, remove_leftovers, temporary_folder

LARGEST_GRAPH_BYTES = 512 * 2**20  # saved_model.pb; weights lie in files of their own.
LARGEST_INDEX_BYTES = 16 * 2**20  # Names and shapes of weights.
LARGEST_OBJECTS_BYTES = 16 * 2**20  # What the file of weights holds beside them.
SAID = 3  # Findings in an error; `python -m crnn_gan.inspect` prints all.
GRAPH = "saved_model.pb"
INDEX, DATA = "variables.index", "variables.data-00000-of-00001"


class RefusedError(ValueError):
    """A SavedModel that is not loaded.

    Attributes:
      findings: why, each in words.
    """

    def __init__(self, folder: Path, findings: Sequence[str]):
        self.findings = list(findings)
        more = f"; and {len(findings) - SAID} more" if len(findings) > SAID else ""
        super().__init__(
            f"{folder} is refused: {'; '.join(findings[:SAID])}{more}. A model that makes music "
            "needs none of this: get it again from people you trust, or export it again "
            f"(python -m crnn_gan.inspect {folder} says more)"
        )


@contextlib.contextmanager
def audited_copy(folder: Path) -> Iterator[Path]:
    """Gives a private copy of a SavedModel's graph and weights that the audit found nothing in.

    It is gone afterwards. Nothing of the model is run.

    Raises:
      RefusedError: something was found; its text says what.
      OSError: the files cannot be read, or there is no room for the copy.
    """
    if findings := _file_findings(folder):
        raise RefusedError(folder, findings)
    place = Path(tempfile.gettempdir())
    remove_leftovers(place)
    with temporary_folder(place / "exported_model", FOLDER_END) as copy:
        (copy / "variables").mkdir()
        _copy(folder / GRAPH, copy / GRAPH, LARGEST_GRAPH_BYTES)
        if findings := _graph_findings(copy, folder / "variables"):
            raise RefusedError(folder, findings)
        yield copy


def audit(folder: Path) -> list[str]:
    """Lists what a SavedModel holds that making music does not need; nothing is run.

    Raises:
      OSError: the files cannot be read, or there is no room for a copy.
    """
    try:
        with audited_copy(folder):
            return []
    except RefusedError as refused:
        return refused.findings


def operations_of(folder: Path) -> set[str]:
    """Names the operations of a SavedModel that the audit found nothing in."""
    from tensorflow.core.protobuf import saved_model_pb2

    from crnn_gan.generation.graph_audit import operations

    saved = saved_model_pb2.SavedModel.FromString((folder / GRAPH).read_bytes())
    return operations(saved.meta_graphs[0])


def _file_findings(folder: Path) -> list[str]:
    """Finds links and other files that are none, a missing or second graph, assets, shards."""
    findings = []
    files = sorted(folder.rglob("*")) if folder.is_dir() else []
    for path in files:
        name = path.relative_to(folder).as_posix()
        top, _, rest = name.partition("/")
        shown = name if name.isprintable() else repr(name)
        if path.is_symlink():
            findings.append(f"{shown} is a link")
        elif not path.is_file() and not path.is_dir():
            findings.append(f"{shown} is no ordinary file")
        elif path.name.startswith("saved_model.") and name != GRAPH:
            findings.append(f"{shown} is there: only {GRAPH} is read")
        elif (top == "variables" and rest and rest not in (INDEX, DATA)) or (
            top in ("assets", "assets.extra") and rest
        ):
            findings.append(f"{shown} is no file of an exported model")
    needed = [GRAPH, f"variables/{INDEX}", f"variables/{DATA}"]
    missing = [name for name in needed if not (folder / name).is_file()]
    return findings + [f"there is no {name}" for name in missing]


def _copy(source: Path, target: Path, most: int) -> bool:
    """Copies up to so many bytes; gives whether that was all."""
    with source.open("rb") as reading, target.open("wb") as writing:
        _copy_bytes(reading, writing, most)
        return not reading.read(1)


def _copy_bytes(reading: BinaryIO, writing: BinaryIO, most: int) -> None:
    while most > 0 and (block := reading.read(min(most, 2**20))):
        writing.write(block)
        most -= len(block)


def _graph_findings(copy: Path, variables: Path) -> list[str]:
    """Audits the copy of a graph, then copies its weights and compares them with it."""
    # Imported here so that the command line is checked before TensorFlow is loaded.
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    from crnn_gan.generation.graph_audit import meta_graph_findings
    from crnn_gan.generation.object_audit import checkpoint_keys

    if (copy / GRAPH).stat().st_size >= LARGEST_GRAPH_BYTES:
        return [f"{GRAPH} has {LARGEST_GRAPH_BYTES:,} bytes or more"]
    try:
        saved = saved_model_pb2.SavedModel.FromString((copy / GRAPH).read_bytes())
    except DecodeError:
        return [f"{GRAPH} is damaged"]
    if len(saved.meta_graphs) != 1:
        return [f"{GRAPH} holds {len(saved.meta_graphs)} graphs, not 1"]
    [meta_graph] = saved.meta_graphs
    if findings := list(meta_graph_findings(meta_graph)):
        return findings
    shapes = checkpoint_keys(meta_graph.object_graph_def)
    return _weight_findings(shapes, variables, copy / "variables")


def _weight_findings(shapes: dict[str, Any], variables: Path, copy: Path) -> list[str]:
    import tensorflow as tf

    weights = sum(4 * math.prod(shape) for shape in shapes.values())
    for name, limit in ((INDEX, LARGEST_INDEX_BYTES), (DATA, weights + LARGEST_OBJECTS_BYTES)):
        if not _copy(variables / name, copy / name, limit):
            return [
                f"variables/{name} has more bytes than the {limit:,} that its graph accounts for"
            ]
    if (copy / DATA).stat().st_size < weights:
        return [f"variables/{DATA} has less than the {weights:,} bytes that its graph wants"]
    try:
        reader = tf.train.load_checkpoint(str(copy / "variables"))
        there = reader.get_variable_to_shape_map()
        kinds = reader.get_variable_to_dtype_map()
    except (tf.errors.OpError, ValueError, RuntimeError):
        return [f"variables/{INDEX} is damaged"]
    findings = []
    for key, shape in shapes.items():
        if tuple(there.get(key, ())) != shape or kinds.get(key) != tf.float32:
            findings.append(f"the weights have no {key} of float32 {list(shape)}")
    return findings
