"""Checkpoints from which a run goes on exactly as if it had never stopped.

One directory per checkpoint holds all variables of the model and its optimizers, seed
generators and guards included, each under its path (see `variable_paths`), and a manifest: the
path, shape and dtype of each, and the hash of them all. It appears under its name by one rename,
after everything in it is on disk. Since batch = f(seed, step), this is all the state that a run
has.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import itertools
import json
import os
import shutil
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from crnn_gan.runs.best import best_of_run
from crnn_gan.runs.checkpoint_file import (
    FORMAT,
    MANIFEST,
    STATE,
    CheckpointError,
    DamagedError,
    Variable,
    epoch_of,
    name_of,
    read_arrays,
    read_manifest,
    verify,
)
from crnn_gan.training.variable_paths import model_variables, optimizer_variables
from pipelines.atomic_file import sync
from pipelines.leftovers import HOST
from pipelines.settings import UsageError

FOLDER = "checkpoints"
KEPT = 2
GROUPS = ("model", "optimizer")


@dataclasses.dataclass(frozen=True)
class Restored:
    """Which weights were loaded: those after `epoch`, and in words how that was chosen."""

    epoch: int
    chosen: str


def save(run_dir: Path, model: keras.Model, epoch: int, spared: Collection[int] = ()) -> Path:
    """Writes the checkpoint of a finished epoch (1 is the first), then removes old ones.

    Args:
      run_dir: of the run.
      model: a compiled one.
      epoch: its number.
      spared: epochs whose checkpoints stay, besides the newest two.

    Raises:
      CheckpointError: the disk is full, for example; older checkpoints are untouched.
    """
    folder = run_dir / FOLDER
    target = folder / name_of(epoch)
    temporary = folder / f".tmp-{os.getpid()}-{epoch:06d}-{HOST}"
    try:
        temporary.mkdir(parents=True, exist_ok=True)
        arrays = _state(model)
        state = _to_npz(arrays)
        _write(temporary / STATE, state)
        facts = {
            "format": FORMAT,
            "epoch": epoch,
            "bytes": len(state),
            "sha256": hashlib.sha256(state).hexdigest(),
            "variables": _described(arrays),
        }
        _write(temporary / MANIFEST, json.dumps(facts, indent=1).encode())
        sync(temporary)
        if target.exists():  # An epoch that is trained again, after a quarantine.
            _remove(target)
        temporary.rename(target)
        sync(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        kept = ", ".join(path.name for path in _complete(folder)) or "none"
        raise CheckpointError(
            f"the checkpoint of epoch {epoch} could not be written to {folder} "
            f"({error.strerror or error}); earlier ones are untouched ({kept}). Free some space "
            "and start the same command again: it goes on from there"
        ) from error
    for old in _complete(folder)[:-KEPT]:
        if epoch_of(old) not in spared:
            _remove(old)
    return target


def restore(run_dir: Path, model: keras.Model) -> int:
    """Loads the newest good checkpoint into a compiled model; gives its epoch, 0 for none.

    To be called by the one process that holds the run's lock: it sweeps away what a killed one
    left on this host. Damaged checkpoints are put aside as `.bad-...`, each with a line on
    stderr: also older ones, so that none of them counts as the best.

    Raises:
      CheckpointError: a good checkpoint is of another model.
    """
    folder = run_dir / FOLDER
    for leftover in [*folder.glob(".tmp-*"), *folder.glob(".old-*")]:
        if "-@" not in leftover.name or leftover.name.endswith(HOST):
            shutil.rmtree(leftover, ignore_errors=True)
    _note_others(folder)
    newest = 0
    for path in reversed(_complete(folder)):
        try:
            if newest:
                verify(path)
            else:
                newest = _load(path, _variables(model))
        except DamagedError as error:
            aside = path.with_name(f".bad-{path.name}-{os.getpid()}")
            path.rename(aside)
            print(f"warning: {error}; put aside as {aside.name}", file=sys.stderr)
    return newest


def restore_weights(run_dir: Path, model: keras.Model, which: str = "newest") -> Restored:
    """Loads the weights of a checkpoint alone, for inference. Changes no file.

    The precision of training does not matter.

    Args:
      run_dir: of the run.
      model: a compiled one.
      which: "newest", which passes over damaged ones with a line on stderr; "best", by what
        the `best_by` of the run's config.json; or the number of an epoch.

    Raises:
      ValueError: there is no such checkpoint; those that are there are named.
      CheckpointError: it is damaged, or of another model.
    """
    damaged = []
    _note_others(run_dir / FOLDER)
    for epoch, chosen in _choice(run_dir, which):
        path = run_dir / FOLDER / name_of(epoch)
        try:
            _load(path, _variables(model, ["model"]))
        except DamagedError as error:
            damaged.append(f"{error}, {chosen}")
            continue
        if damaged:
            print(f"warning: {'; '.join(damaged)}; {path} is used", file=sys.stderr)
        return Restored(epoch, chosen)
    raise CheckpointError(f"{'; '.join(damaged)}; give another --checkpoint: {_there(run_dir)}")


def _choice(run_dir: Path, which: str) -> list[tuple[int, str]]:
    """Gives the epochs whose checkpoints will do, the first choice first, each with why."""
    there = epochs(run_dir)
    if not there:
        raise ValueError(f"{run_dir} has no checkpoint yet; train it for an epoch first")
    if which == "newest":
        return [(epoch, "the newest") for epoch in reversed(there)]
    if which == "best":
        best = best_of_run(run_dir, there)
        return [(best.epoch, str(best))]
    if not which.isdecimal():
        raise UsageError(
            f"--checkpoint={which} is no checkpoint; give newest, best or the number of an epoch: "
            f"{_there(run_dir)}"
        )
    if int(which) not in there:
        raise ValueError(f"there is no checkpoint of epoch {which}; {_there(run_dir)}")
    return [(int(which), "the one that was asked for")]


def _there(run_dir: Path) -> str:
    found = ", ".join(map(str, epochs(run_dir)))
    return f"{run_dir} has those of the epochs {found} (the newest {KEPT} and the best are kept)"


def epochs(run_dir: Path) -> list[int]:
    """Lists the epochs that have a checkpoint."""
    return [epoch for path in _complete(run_dir / FOLDER) if (epoch := epoch_of(path))]


def digest(model: keras.Model) -> str:
    """Gives a SHA-256 over all state: equal digests are bitwise equal states."""
    total = hashlib.sha256()
    for name, variable in _state(model).items():
        total.update(name.encode() + np.asarray(variable).tobytes())
    return total.hexdigest()


def _variables(model: keras.Model, groups: Collection[str] = GROUPS) -> dict[str, keras.Variable]:
    """Gives variables by path: `model/...`, `optimizer/<phase>/...`."""
    of_model = model_variables(model)
    found: dict[str, keras.Variable] = {}
    if "model" in groups:
        found |= {f"model/{path}": variable for path, variable in of_model.items()}
    if "optimizer" in groups:
        paths = {id(variable): path for path, variable in of_model.items()}
        for phase, optimizer in model.optimizer.by_phase.items():
            moved = {paths[id(v)]: v for v in model.optimizer.moved[phase]}
            slots = optimizer_variables(optimizer, moved)
            found |= {f"optimizer/{phase}/{path}": slot for path, slot in slots.items()}
    return found


def _state(model: keras.Model) -> dict[str, np.ndarray]:
    return {path: keras.ops.convert_to_numpy(v) for path, v in _variables(model).items()}


def _described(values: Mapping[str, Any]) -> list[Variable]:
    """Gives path, shape and dtype of variables or arrays, in their order."""
    return [
        {"path": path, "shape": list(value.shape), "dtype": str(value.dtype)}
        for path, value in values.items()
    ]


def _load(path: Path, variables: Mapping[str, keras.Variable]) -> int:
    """Assigns the arrays of a checkpoint to variables by path; gives its epoch.

    Variables of groups that are not asked for are not read.

    Raises:
      DamagedError: it cannot be read, or its hash or its arrays are not those of its manifest.
      CheckpointError: it was written by another version; or paths, shapes or dtypes are not those
        of the variables, and the first that differ are named.
    """
    manifest = read_manifest(path)
    groups = {name.partition("/")[0] for name in variables}
    here = _described(variables)
    there = [v for v in manifest["variables"] if v["path"].partition("/")[0] in groups]
    if here != there:
        differing = itertools.zip_longest(map(_in_words, here), map(_in_words, there))
        model_has, it_has = next((a, b) for a, b in differing if a != b)
        raise CheckpointError(
            f"{path} is of another model: it has {it_has or 'nothing more'} where this model has "
            f"{model_has or 'nothing more'} ({len(there)} and {len(here)} variables); give another "
            "--run_dir, or the flags of its config.json"
        )
    arrays = read_arrays(path, there)
    for name, variable in variables.items():
        variable.assign(arrays[name])
    return manifest["epoch"]


def _in_words(variable: Variable) -> str:
    return f"{variable['path']} {variable['dtype']} {variable['shape']}"


def _to_npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def _complete(folder: Path) -> list[Path]:
    """Lists the checkpoints of a folder, the oldest first."""
    found = {epoch: path for path in folder.glob("epoch-*") if (epoch := epoch_of(path))}
    return [found[epoch] for epoch in sorted(found)]


def _note_others(folder: Path) -> None:
    """Says on stderr what has nearly the name of a checkpoint: a copy that somebody made."""
    others = sorted(path.name for path in folder.glob("epoch-*") if epoch_of(path) is None)
    if others:
        print(
            f"note: {folder} holds {', '.join(map(ascii, others))}, which is not the name of a "
            "checkpoint; it is left alone",
            file=sys.stderr,
        )


def _remove(path: Path) -> None:
    """Takes a checkpoint away: renamed first, so that none is ever half there."""
    aside = path.with_name(f".old-{path.name}-{os.getpid()}-{HOST}")
    path.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
