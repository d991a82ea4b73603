"""Checkpoints from which a run goes on exactly as if it had never stopped.

One directory a checkpoint holds all variables of the model and its optimizers, seed
generators and guards included, with a manifest of hashes. It appears under its name by one
rename, after everything in it is on disk. Since batch = f(seed, step), this is all the
state that a run has.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from pipelines.atomic_file import sync_folder

FOLDER = "checkpoints"
KEPT = 2


class CheckpointError(OSError):
    """A checkpoint that could not be written or does not fit; its text says what to do."""


def save(run_dir: Path, model: keras.Model, epoch: int) -> Path:
    """Writes the checkpoint of a finished epoch (1 is the first) and removes old ones.

    Raises:
      CheckpointError: the disk is full, for example; older checkpoints are untouched.
    """
    folder = run_dir / FOLDER
    target = folder / f"epoch-{epoch:06d}"
    temporary = folder / f".tmp-{os.getpid()}-{epoch:06d}"
    try:
        temporary.mkdir(parents=True, exist_ok=True)
        state = _to_npz(_state(model))
        _write(temporary / "state.npz", state)
        facts = {"epoch": epoch, "bytes": len(state), "sha256": hashlib.sha256(state).hexdigest()}
        _write(temporary / "manifest.json", json.dumps(facts).encode())
        sync_folder(temporary)
        if target.exists():  # An epoch that is trained again, after a quarantine.
            _remove(target)
        temporary.rename(target)
        sync_folder(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        kept = ", ".join(path.name for path in _complete(folder)) or "none"
        raise CheckpointError(
            f"the checkpoint of epoch {epoch} could not be written to {folder} "
            f"({error.strerror or error}); earlier ones are untouched ({kept}). Free some space "
            "and start the same command again: it goes on from there"
        ) from error
    for old in _complete(folder)[:-KEPT]:
        _remove(old)
    return target


def restore(run_dir: Path, model: keras.Model) -> int:
    """Loads the newest good checkpoint into a compiled model; gives its epoch, 0 for none.

    To be called by the one process that trains the run: it sweeps away what a killed one
    left. A damaged checkpoint is put aside as `.bad-...`, with a line on stderr, and the
    one before used.

    Raises:
      CheckpointError: a good checkpoint is of another model.
    """
    folder = run_dir / FOLDER
    for leftover in [*folder.glob(".tmp-*"), *folder.glob(".old-*")]:
        shutil.rmtree(leftover, ignore_errors=True)
    for path in reversed(_complete(folder)):
        try:
            epoch, arrays = _load(path)
        except (OSError, ValueError, KeyError) as error:
            aside = path.with_name(f".bad-{path.name}-{os.getpid()}")
            path.rename(aside)
            _warn(path, error, f"put aside as {aside.name}")
            continue
        _assign({**_variables(model, "model"), **_variables(model, "optimizer")}, arrays, path)
        return epoch
    return 0


def restore_weights(run_dir: Path, model: keras.Model) -> int:
    """Loads the weights alone, for composing; gives the epoch, 0 for none. Changes no file.

    The precision of training does not matter.

    Raises:
      CheckpointError: a good checkpoint is of another model.
    """
    for path in reversed(_complete(run_dir / FOLDER)):
        try:
            epoch, arrays = _load(path)
        except (OSError, ValueError, KeyError) as error:
            _warn(path, error, "the one before it is used")
            continue
        weights = {name: value for name, value in arrays.items() if name.startswith("model/")}
        _assign(_variables(model, "model"), weights, path)
        return epoch
    return 0


def _warn(path: Path, error: Exception, done: str) -> None:
    print(f"warning: {path} is damaged ({error}); {done}", file=sys.stderr)


def epochs(run_dir: Path) -> list[int]:
    """Lists the epochs that have a checkpoint."""
    return [int(path.name.removeprefix("epoch-")) for path in _complete(run_dir / FOLDER)]


def digest(model: keras.Model) -> str:
    """Gives a SHA-256 over all state: equal digests are bitwise equal states."""
    total = hashlib.sha256()
    for name, variable in _state(model).items():
        total.update(name.encode() + np.asarray(variable).tobytes())
    return total.hexdigest()


def _variables(model: keras.Model, group: str) -> dict[str, keras.Variable]:
    """Gives variables by a stable name; auto-made names count up within a process."""
    variables = model.variables if group == "model" else model.optimizer.variables
    return {f"{group}/{index:04d}": variable for index, variable in enumerate(variables)}


def _state(model: keras.Model) -> dict[str, np.ndarray]:
    variables = {**_variables(model, "model"), **_variables(model, "optimizer")}
    return {name: keras.ops.convert_to_numpy(variable) for name, variable in variables.items()}


def _assign(
    variables: Mapping[str, keras.Variable], arrays: Mapping[str, np.ndarray], path: Path
) -> None:
    expected = {name: tuple(variable.shape) for name, variable in variables.items()}
    found = {name: value.shape for name, value in arrays.items()}
    if found != expected:
        raise CheckpointError(
            f"{path} is of another model ({len(found)} variables, {len(expected)} expected, or "
            "of other shapes); give another --run_dir, or the flags of its config.json"
        )
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _load(path: Path) -> tuple[int, dict[str, np.ndarray]]:
    facts = json.loads((path / "manifest.json").read_bytes())
    state = (path / "state.npz").read_bytes()
    if hashlib.sha256(state).hexdigest() != facts["sha256"]:
        raise ValueError("its hash is not that of its manifest")
    with np.load(io.BytesIO(state), allow_pickle=False) as arrays:
        return int(facts["epoch"]), {name: arrays[name] for name in arrays.files}


def _to_npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def _complete(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch-*"))


def _remove(path: Path) -> None:
    """Takes a checkpoint away: renamed first, so that none is ever half there."""
    aside = path.with_name(f".old-{path.name}-{os.getpid()}")
    path.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
