"""Fitting: the tables of a codec measured from the pieces of the training split.

Workers have counted the values of each piece (`Codec.value_counts`); their sums depend neither on
the order of the pieces nor on the number of workers.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.codecs.codec import Codec
from pipelines.manifest import MovedFacts
from pipelines.preparation import plan
from pipelines.preparation.parts import Entry
from pipelines.preparation.tasks import Task
from pipelines.split import SPLITS

TRAIN = SPLITS.index("train")
PLURALS = {"time": "times", "length": "lengths", "velocity": "velocities", "pitch": "pitches"}


def fit(
    codec: Codec, tasks: Sequence[Task], splits: np.ndarray
) -> tuple[Codec, dict[str, MovedFacts]]:
    """Measures the tables of a codec.

    Args:
      codec: as it was asked for.
      tasks: whose parts are written.
      splits: int8 [piece], see `plan.Plan`.

    Returns:
      The codec with its tables, and for each of them how many values of all pieces that are kept
      are not in it; the codec itself and {} where it has none.
    """
    if not codec.spec.values:
        return codec, {}
    training: dict[str, collections.Counter[int]] = collections.defaultdict(collections.Counter)
    kept: dict[str, collections.Counter[int]] = collections.defaultdict(collections.Counter)
    for piece, entry in plan.entries(tasks):
        if isinstance(entry, Entry) and splits[piece] >= 0:
            for name, counted in entry.values.items():
                kept[name].update(counted)
                if splits[piece] == TRAIN:
                    training[name].update(counted)
    fitted = codec.fitted(training)
    tables = fitted.spec.values
    return fitted, {name: _moved(kept[name], tables[name]) for name in tables if name in kept}


def _moved(counted: Mapping[int, int], table: Sequence[int]) -> MovedFacts:
    total = sum(counted.values())
    return {"moved": total - sum(counted.get(value, 0) for value in table), "values": total}


def in_words(moved: Mapping[str, MovedFacts]) -> str:
    """Says which share of values was moved: "1.2 % of times, 0 % of pitches"; "" without any."""
    return ", ".join(
        f"{100 * facts['moved'] / max(1, facts['values']):.3g} % of {PLURALS.get(name, name)}"
        for name, facts in moved.items()
    )
