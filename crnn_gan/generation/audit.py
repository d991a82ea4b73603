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
import dataclasses
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crnn_gan.generation.graph_audit import meta_graph_findings, operations
from crnn_gan.generation.object_audit import checkpoint_keys
from crnn_gan.generation.weights_file import DATA, INDEX, WeightsError, read_weights
from pipelines.leftovers import FOLDER_END, remove_leftovers, temporary_folder

LARGEST_GRAPH_BYTES = 64 * 2**20  # saved_model.pb; weights lie in files of their own.
LARGEST_FOLDER_BYTES = 16 * 2**30
MOST_FILES, DEEPEST_FOLDER = 100_000, 8
SAID = 3  # Findings in an error; `python -m crnn_gan.inspect` prints all.
GRAPH = "saved_model.pb"


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


@dataclasses.dataclass(frozen=True)
class Audited:
    """A SavedModel that the audit found nothing in, in private.

    Attributes:
      folder: holds a copy of its graph.
      weights: of its module, float32, in their order.
      operations: the names of those in its graph, the saver's own left out.
    """

    folder: Path
    weights: list[np.ndarray]
    operations: set[str]


@contextlib.contextmanager
def audited_copy(folder: Path) -> Iterator[Audited]:
    """Gives a private copy of a SavedModel's graph, and its weights, that nothing was found in.

    The copy is gone afterwards. Nothing of the model is run.

    Raises:
      RefusedError: something was found; its text says what.
      OSError: the files cannot be read, or there is no room for the copy.
    """
    if findings := _file_findings(folder):
        raise RefusedError(folder, findings)
    with (folder / GRAPH).open("rb") as file:
        graph = file.read(LARGEST_GRAPH_BYTES + 1)
    if len(graph) > LARGEST_GRAPH_BYTES:
        raise RefusedError(folder, [f"{GRAPH} has more than {LARGEST_GRAPH_BYTES:,} bytes"])
    meta_graph = _meta_graph(folder, graph)
    shapes = checkpoint_keys(meta_graph.object_graph_def)
    try:
        weights = read_weights(folder / "variables", shapes)
    except WeightsError as error:
        raise RefusedError(folder, [str(error)]) from None
    place = Path(tempfile.gettempdir())
    remove_leftovers(place)
    with temporary_folder(place / "exported_model", FOLDER_END) as copy:
        (copy / GRAPH).write_bytes(graph)
        yield Audited(copy, weights, operations(meta_graph))


def _file_findings(folder: Path) -> list[str]:
    """Finds links and other files that are none, a missing or second graph, assets, shards."""
    findings = []
    total = 0
    for count, (name, entry) in enumerate(_below(folder)):
        top, _, rest = name.partition("/")
        shown = name if name.isprintable() else repr(name)
        if count >= MOST_FILES or name.count("/") >= DEEPEST_FOLDER:
            findings.append(f"it has more than {MOST_FILES:,} files, or deeper ones than {shown}")
            break
        if entry.is_file(follow_symlinks=False):
            total += entry.stat(follow_symlinks=False).st_size
        if entry.is_symlink():
            findings.append(f"{shown} is a link")
        elif not entry.is_file() and not entry.is_dir():
            findings.append(f"{shown} is no ordinary file")
        elif entry.name.startswith("saved_model.") and name != GRAPH:
            findings.append(f"{shown} is there: only {GRAPH} is read")
        elif (top == "variables" and rest and rest not in (INDEX, DATA)) or (
            top in ("assets", "assets.extra") and rest
        ):
            findings.append(f"{shown} is no file of an exported model")
    if total > LARGEST_FOLDER_BYTES:
        findings.append(f"its files have {total:,} bytes")
    needed = [GRAPH, f"variables/{INDEX}", f"variables/{DATA}"]
    missing = [name for name in needed if not (folder / name).is_file()]
    return findings + [f"there is no {name}" for name in missing]


def _below(folder: Path) -> Iterator[tuple[str, os.DirEntry]]:
    """Gives what lies in a folder, at any depth, and its name below it."""
    waiting = [(folder, "")] if folder.is_dir() else []
    while waiting:
        place, before = waiting.pop()
        for entry in sorted(os.scandir(place), key=lambda entry: entry.name):
            name = before + entry.name
            yield name, entry
            if entry.is_dir(follow_symlinks=False):
                waiting.append((Path(entry.path), f"{name}/"))


def _meta_graph(folder: Path, graph: bytes) -> Any:
    """Gives the MetaGraphDef of a graph file that nothing was found in.

    Raises:
      RefusedError: something was found.
    """
    # Imported here so that the command line is checked before TensorFlow is loaded.
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        saved = saved_model_pb2.SavedModel.FromString(graph)
    except DecodeError:
        raise RefusedError(folder, [f"{GRAPH} is damaged"]) from None
    if len(saved.meta_graphs) != 1:
        raise RefusedError(folder, [f"{GRAPH} holds {len(saved.meta_graphs)} graphs, not 1"])
    [meta_graph] = saved.meta_graphs
    if findings := list(meta_graph_findings(meta_graph)):
        raise RefusedError(folder, findings)
    return meta_graph
