"""Whether a training step ever waits for its data.

Makes pieces of random music, some 64 MB of arrays, once in the cells that run/job1.sh trains
on and once as events, and batches of them:

  note_tuples   4 notes per cell, windows of 32 cells, batches of 32, spread over the grid,
                augmented by transposition up to 3 semitones and stretching up to 5 %
  events        windows of 512 tokens, batches of 64, with the same augmentation and
                all three conditions, look-ahead 256 tokens

each from memory, and from disk with a budget of a quarter of the music, over several groups of
shards. Prints for each

  alone         milliseconds and processor milliseconds of a batch when nothing else runs
  of a step     the first of them over the milliseconds of a training step of the default
                C-RNN-GAN on a batch already in memory, measured before and after in the same run
  waiting       share of its time that a training loop spends in next(batch): it trains the
                default C-RNN-GAN on the cells; on events, for which it has no use, it takes
                each batch and trains on cells in memory; "in memory" is the cost of next
                where there is nothing to compute

    python benchmarks/input_pipeline.py [--megabytes=64] [--batches=300]
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from machine import machine

from pipelines import records
from pipelines.codecs import events, note_tuples
from pipelines.codecs.codec import Codec
from pipelines.command_line import parse, run_command
from pipelines.records import Manifest
from pipelines.score import Score
from pipelines.score_arrays import NOTE
from pipelines.settings import Settings, flag
from pipelines.split import SPLITS
from pipelines.tfrecord import array_bytes

NOTES, DIFFERENT_PIECES = 2000, 40
WINDOWS_PER_PIECE = 20
BUDGET_SHARE = 0.25
WARM_UPS = 5
CELLS, CELL_BATCH, TOKENS, TOKEN_BATCH = 32, 32, 512, 64


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """How much."""

    megabytes: int = flag(64, "size of the arrays of each collection, MiB", at_least=4)
    batches: int = flag(
        300, "batches of each pipeline alone; a quarter of them while training", at_least=40
    )


def random_score(seed: int) -> Score:
    """Chords of one to four notes that walk about the keyboard, eighths and sixteenths."""
    random = np.random.default_rng(seed)
    chord = np.sort(random.integers(0, NOTES // 2, NOTES))
    gaps = 120 * random.integers(1, 3, NOTES // 2)
    notes = np.zeros(NOTES, NOTE)
    notes["onset"] = np.cumsum(gaps)[chord]
    notes["duration"] = 120 * random.integers(1, 5, NOTES)
    notes["pitch"] = 60 + np.clip(np.cumsum(random.integers(-2, 3, NOTES)) % 48 - 24, -24, 24)
    notes["velocity"] = random.integers(40, 100, NOTES)
    return Score.from_unsorted(480, notes)


def store(folder: Path, codec: Codec, megabytes: int) -> float:
    """Writes a prepared directory of random pieces; gives the megabytes of its arrays."""
    folder.mkdir()
    arrays = [codec.encode(random_score(seed)) for seed in range(DIFFERENT_PIECES)]
    count = megabytes * 2**20 // (sum(array.nbytes for array in arrays) // len(arrays))
    sizes = np.array([arrays[piece % len(arrays)].nbytes for piece in range(count)])
    shard_of = records.shards_of(sizes)
    shards, rows = [], []
    for shard in range(int(shard_of.max()) + 1):
        name = records.shard_name("train", shard, int(shard_of.max()) + 1)
        examples = []
        for index, piece in enumerate(np.flatnonzero(shard_of == shard)):
            array = arrays[piece % len(arrays)]
            facts = {"composer": "chance", "genre": "any", "split": "train", "notes": NOTES}
            facts |= {"steps": len(array), "shard": name, "index": index}
            rows.append({"key": f"{piece:06d}", **facts})
            content, classes = array_bytes(array), {"composer": 0, "genre": 0}
            examples.append(records.example_of(f"{piece:06d}", array.shape, content, classes))
        shards.append(records.write_shard(folder / name, examples))
    splits = {name: {"pieces": 0, "shards": []} for name in SPLITS}
    splits["train"] = {"pieces": count, "shards": shards}
    classes = {"composer": ("chance",), "genre": ("any",)}
    spec = dataclasses.replace(codec.spec, classes=classes)
    with records.open_table(folder, records.PIECES) as table:
        for row in rows:
            table.add(row)
    tables = {records.PIECES: table.facts()}
    manifest = Manifest("", {}, codec.to_json(), {}, spec, {}, {}, splits, tables, {}, {})
    (folder / records.MANIFEST).write_bytes(manifest.to_bytes())
    return float(sizes.sum() / 2**20)


def pipelines(place: Path, megabytes: int) -> dict[str, Any]:
    """Makes the collections; gives the windows of each pipeline by its name."""
    from pipelines.batches.augmentation import Augmentation
    from pipelines.batches.conditions import Conditions
    from pipelines.dataset import Windows, open_pieces

    found: dict[str, Any] = {}
    cells, tokens = note_tuples.Codec(tones_per_cell=4), events.Codec()
    for codec, sizes, more in (
        (cells, (CELLS, CELL_BATCH), {"transform": cells.dequantize}),
        (tokens, (TOKENS, TOKEN_BATCH), {"conditions": Conditions(tokens)}),
    ):
        held = store(place / codec.name, codec, megabytes)
        for kind, budget in (("memory", held + 1), ("disk", held * BUDGET_SHARE)):
            pieces = open_pieces(place / codec.name, "train", memory_megabytes=budget)
            found[f"{codec.name}, {kind}"] = Windows(
                pieces, *sizes, 0, WINDOWS_PER_PIECE, augmentation=Augmentation(codec, 3, 5), **more
            )
    return found


def training_step(windows: Any) -> Callable[..., Any]:
    """Gives a function that updates a continuous C-RNN-GAN once, on a batch or one of its own."""
    import keras
    import tensorflow as tf

    from crnn_gan.models.registry import config_class, model_class

    keras.utils.set_random_seed(0)
    cls: Any = model_class("c_rnn_gan")
    spec = note_tuples.Codec(tones_per_cell=4).spec
    spec = dataclasses.replace(spec, classes={"composer": ("chance",), "genre": ("any",)})
    model = cls(config_class("c_rnn_gan")(**cls.presets["continuous"]), spec, seed=0)
    model.compile(jit_compile=False)
    own = windows.batch(0)
    model.fit(tf.data.Dataset.from_tensors(own), verbose=0, shuffle=False)  # Builds optimizers.
    step = tf.function(model.train_step)

    def update(batch: Any = None) -> None:
        for loss in step(own if batch is None else batch).values():
            assert np.isfinite(float(loss))  # Waits for it.

    return update


def timed(function: Callable[[], Any], times: int) -> list[float]:
    """Gives the seconds of each of some calls, after a few more."""
    seconds = []
    for _ in range(WARM_UPS + times):
        before = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - before)
    return seconds[WARM_UPS:]


def alone(windows: Any, batches: int) -> tuple[float, float]:
    """Gives the seconds and processor seconds of a batch when nothing else runs."""
    iterator = iter(windows.dataset())
    for _ in range(WARM_UPS):
        next(iterator)
    before = time.perf_counter(), time.process_time()
    for _ in itertools.islice(iterator, batches):
        pass
    after = time.perf_counter(), time.process_time()
    return (after[0] - before[0]) / batches, (after[1] - before[1]) / batches


def waiting(batches: Any, step: Callable[..., Any], steps: int, takes_batch: bool) -> float:
    """Gives the share of its time that a training loop spends in next."""
    iterator = iter(batches)
    waited, started = 0.0, 0.0
    for index in range(WARM_UPS + steps):
        if index == WARM_UPS:
            waited, started = 0.0, time.perf_counter()
        before = time.perf_counter()
        batch = next(iterator)
        waited += time.perf_counter() - before
        step(batch if takes_batch else None)
    return waited / (time.perf_counter() - started)


def main(argv: list[str]) -> None:
    """Measures and prints."""
    (flags,) = parse(argv, __doc__ or "", Flags)
    print(machine())
    import tensorflow as tf

    steps = flags.batches // 4
    with tempfile.TemporaryDirectory() as temporary:
        found = pipelines(Path(temporary), flags.megabytes)
        step = training_step(found["note_tuples, memory"])
        step_seconds = timed(step, steps)
        rows = {
            name: (
                *alone(windows, flags.batches),
                waiting(windows.dataset(), step, steps, takes_batch="note_tuples" in name),
            )
            for name, windows in found.items()
        }
        ready = tf.data.Dataset.from_tensors(found["note_tuples, memory"].batch(0)).repeat()
        floor = waiting(ready.prefetch(2), step, steps, takes_batch=True)
        step_seconds += timed(step, steps)
    median = statistics.median(step_seconds)
    print(f"a training step of the default C-RNN-GAN: {1e3 * median:.1f} ms")
    print(f"{'pipeline':22}{'alone ms':>10}{'CPU ms':>9}{'of a step':>11}{'waiting':>10}")
    print(f"{'in memory':52}{floor:10.2%}")
    for name, (seconds, processor, share) in rows.items():
        print(
            f"{name:22}{1e3 * seconds:10.2f}{1e3 * processor:9.2f}{seconds / median:11.1%}"
            f"{share:10.2%}"
        )


if __name__ == "__main__":
    sys.exit(run_command(main))
