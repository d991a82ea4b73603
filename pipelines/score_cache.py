"""Cache of what was read, one file each, for formats that are slow to parse."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np

from pipelines.atomic_file import write_atomically
from pipelines.leftovers import remove_leftovers
from pipelines.reading_result import Reading
from pipelines.records import seal, unseal
from pipelines.score import Score
from pipelines.sources.source import SourceError

_ARRAYS = ("notes", "pedal", "tempi", "meters", "keys", "channels")


def write(path: Path, reading: Reading) -> None:
    """Keeps a reading. Raises SourceError where its folder cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent)
        write_atomically(path, _to_bytes(reading))
    except OSError as error:
        raise SourceError(
            f"cannot keep a parsed score in the cache ({error}); give --cache_dir a folder that "
            "can be written"
        ) from error


def read(path: Path) -> Reading | None:
    """Gives the reading that `write` kept there; None where there is none, or it is damaged."""
    return _from_bytes(path.read_bytes()) if path.is_file() else None


def _to_bytes(reading: Reading) -> bytes:
    score = reading.score
    facts = {
        "ticks_per_quarter": score.ticks_per_quarter,
        "title": score.title,
        "composer": score.composer,
        "left_out": dict(reading.left_out),
        "doubtful": dict(reading.doubtful),
    }
    file = io.BytesIO()
    arrays = {name: getattr(score, name) for name in _ARRAYS}
    np.savez(file, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)
    return seal(file.getvalue())


def _from_bytes(sealed: bytes) -> Reading | None:
    """Reads what `_to_bytes` gave; None where it is damaged."""
    content = unseal(sealed)
    if content is None:
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        if set(file.files) != {"facts", *_ARRAYS}:
            return None  # Written before Scores had channels.
        arrays = {name: file[name] for name in _ARRAYS}
        facts = json.loads(file["facts"].tobytes())
    left_out, doubtful = facts.pop("left_out"), facts.pop("doubtful")
    return Reading(Score(**facts, **arrays), left_out, doubtful)
