"""Whether a run that is killed again and again ends as if nothing had happened.

Trains a tiny C-RNN-GAN (pretraining, a growing length, dropout, Adam, averaged weights)
without interruption. Then the same in another directory with `kill -9` at random moments: while
it starts (imports, initialisation, tracing), within an epoch, and while it saves a checkpoint;
started again each time. Half way the newest checkpoint is damaged as well. Prints each
kill, and EQUAL if all arrays of the last checkpoint and of the best (weights, optimizers, seeds,
guards) and everything in generated_data are bitwise those of the uninterrupted run; else
DIFFERENT, what differs, and exit status 1.

    python benchmarks/kill_and_resume.py [--kills=10]     (KERAS_BACKEND=jax: on JAX)
"""

from __future__ import annotations

import dataclasses
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from machine import machine

from crnn_gan.runs.best import best_of_run
from pipelines import prepare
from pipelines.codecs.note_tuples import Codec
from pipelines.command_line import parse, run_command
from pipelines.formats import midi
from pipelines.score import Score
from pipelines.score_arrays import NOTE
from pipelines.settings import Settings, UsageError, flag
from pipelines.sources import folder

TINY = (
    "--model=c_rnn_gan", "--window_steps=12", "--batch_size=4", "--windows_per_piece=2",
    "--hidden_size_g=8", "--hidden_size_d=8", "--pretraining_epochs=2", "--curriculum=whole",
    "--keep_prob=0.8", "--samples_per_epoch=2", "--precision=float32",
)  # fmt: skip
Moment = Literal["starting", "training", "saving"]


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """How often, and when."""

    kills: int = flag(10, "how often the run is killed", at_least=1)
    epochs: int = flag(30, "epochs of the run")
    seed: int = flag(0, "random seed of the moments", at_least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epochs < 3 * self.kills:
            raise UsageError(
                f"--epochs is {self.epochs}; give 3 per kill, {3 * self.kills} or more"
            )


@dataclasses.dataclass(frozen=True)
class Kill:
    """When an attempt is killed.

    Attributes:
      moment: "starting", before the first epoch ends; "training", at any moment; "saving",
        when a checkpoint is half written.
      epochs: that it finishes before, unless "starting".
      share: of the start, or of an epoch, that passes before the kill.
    """

    moment: Moment
    epochs: int
    share: float


def plan(kills: int, seed: int) -> list[Kill]:
    """Draws when to kill: all moments in turn, each from 0 to 2 epochs after the start."""
    chance = random.Random(seed)
    moments: list[Moment] = ["training", "saving", "starting"]
    return [
        Kill(moments[index % 3], chance.randint(0, 2), chance.random()) for index in range(kills)
    ]


def write_collection(path: Path, pieces: int, notes: int, seed: int = 0) -> None:
    """Writes MIDI files of random walks over the white keys, in eighths, one per piece."""
    path.mkdir(parents=True)
    chance = np.random.default_rng(seed)
    white = np.array([pitch for pitch in range(36, 97) if pitch % 12 in (0, 2, 4, 5, 7, 9, 11)])
    for piece in range(pieces):
        walk = len(white) // 2 + np.cumsum(chance.integers(-2, 3, notes))
        rows = np.zeros(notes, NOTE)
        rows["onset"], rows["duration"] = 240 * np.arange(notes), 240
        rows["pitch"] = white[np.abs((walk % (2 * len(white) - 2)) - len(white) + 1)]
        rows["velocity"] = chance.integers(50, 100, notes)
        midi.write(Score(480, rows), path / f"{piece:02d}.mid")


def prepare_collection(path: Path, data_dir: Path) -> None:
    """Makes records of a folder of MIDI, all of them to train on."""
    flags = prepare.Flags(
        data_dir=str(data_dir), train_fraction=1.0, validation_fraction=0.0, workers=1
    )
    prepare.prepare(flags, folder.Source(path=str(path)), Codec())


def start_training(
    data_dir: Path, run_dir: Path, flags: Sequence[str], errors: int = subprocess.DEVNULL
) -> subprocess.Popen:
    """Starts the trainer in a process of its own; what it says on stdout can be read."""
    command = [sys.executable, "-m", "crnn_gan.train", f"--data_dir={data_dir}"]
    return subprocess.Popen(
        [*command, f"--run_dir={run_dir}", *flags],
        stdout=subprocess.PIPE, stderr=errors, text=True,
        cwd=Path(__file__).parent.parent, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
    )  # fmt: skip


def epochs_said(process: subprocess.Popen, count: int) -> int:
    """Reads what a trainer says until it has finished `count` epochs; fewer if it ends first."""
    assert process.stdout is not None
    finished = 0
    while finished < count and (line := process.stdout.readline()):
        finished += line.startswith("epoch ")
    return finished


def wait_for_end(process: subprocess.Popen) -> None:
    """Waits until a trainer is done.

    Raises:
      ValueError: it failed.
    """
    process.communicate()
    if process.returncode:
        raise ValueError(f"the trainer ended with status {process.returncode}")


def train_and_kill(
    process: subprocess.Popen, run_dir: Path, kill: Kill, start_seconds: float, epoch_seconds: float
) -> bool:
    """Kills a trainer at the moment that was drawn; False if it was done before."""
    if kill.moment == "starting":
        time.sleep(kill.share * start_seconds)
    else:
        epochs_said(process, kill.epochs)
    if kill.moment == "training":
        time.sleep(kill.share * (epoch_seconds if kill.epochs else start_seconds))
    if kill.moment == "saving":
        while process.poll() is None and not half_written(run_dir, process.pid):
            pass  # A checkpoint takes milliseconds: sleeping would miss it.
    was_running = process.poll() is None
    process.kill()
    process.communicate()
    return was_running


def half_written(run_dir: Path, process: int) -> list[str]:
    """Lists what a process has not finished: saving a checkpoint, or removing one."""
    found = [path.name for path in run_dir.glob("checkpoints/.[to]*")]  # .tmp-..., .old-...
    return [name for name in found if str(process) in name.split("-")]


def damage_newest(run_dir: Path) -> str:
    """Turns a byte of the newest checkpoint around; gives its name, "" where there is none."""
    found = sorted(run_dir.glob("checkpoints/epoch-*"))
    if not found:
        return ""
    path = found[-1] / "state.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    return found[-1].name


def best_checkpoint(run_dir: Path) -> Path:
    """Gives the checkpoint of the best epoch of a run."""
    paths = {int(path.name.split("-")[1]): path for path in run_dir.glob("checkpoints/epoch-*")}
    return paths[best_of_run(run_dir, paths).epoch]


def differences(one: Path, other: Path) -> list[str]:
    """Names what differs between two finished runs; see the top."""
    arrays = []
    for run_dir in (one, other):
        found: dict[str, bytes] = {}
        for path in (max(run_dir.glob("checkpoints/epoch-*")), best_checkpoint(run_dir)):
            with np.load(path / "state.npz") as state:
                found |= {f"{path.name}/{name}": state[name].tobytes() for name in state.files}
        arrays.append(found)
    files = [
        {path.name: path.read_bytes() for path in run.glob("generated_data/[!.]*")}
        for run in (one, other)
    ]
    first, second = arrays[0] | files[0], arrays[1] | files[1]
    return sorted(name for name in first | second if first.get(name) != second.get(name))


def main(argv: list[str]) -> None:
    """Runs all and prints it. ValueError: the runs differ."""
    (settings,) = parse(argv, __doc__ or "", Flags)
    print(machine())
    with tempfile.TemporaryDirectory() as temporary:
        found = compare(Path(temporary), settings)
    if found:
        raise ValueError(f"DIFFERENT: {', '.join(found)}")
    print("EQUAL: all arrays of the last and the best checkpoint, and all that was generated")


def compare(place: Path, settings: Flags) -> list[str]:
    """Trains without and with kills; names what differs."""
    write_collection(place / "midi", pieces=8, notes=24)
    prepare_collection(place / "midi", place / "data")
    flags = [*TINY, f"--max_epoch={settings.epochs}"]
    begun = time.monotonic()
    process = start_training(place / "data", place / "whole", flags)
    epochs_said(process, 1)
    start_seconds = time.monotonic() - begun
    wait_for_end(process)
    epoch_seconds = (time.monotonic() - begun - start_seconds) / (settings.epochs - 1)
    print(f"uninterrupted: start {start_seconds:.1f} s, an epoch {epoch_seconds:.2f} s")
    run_dir = place / "killed"
    for number, kill in enumerate(plan(settings.kills, settings.seed), 1):
        process = start_training(place / "data", run_dir, flags)
        if not train_and_kill(process, run_dir, kill, start_seconds, epoch_seconds):
            print(f"kill {number}: too late, the run was done")
            break
        done = [path.name for path in sorted(run_dir.glob("checkpoints/epoch-*"))]
        left = "".join(f", left {name}" for name in half_written(run_dir, process.pid))
        print(
            f"kill {number}: {kill.moment}, after {done[-1] if done else 'none'}{left}", flush=True
        )
        if number == settings.kills // 2:
            print(f"damaged: {damage_newest(run_dir) or 'no checkpoint yet'}")
    wait_for_end(start_training(place / "data", run_dir, flags))
    aside = [path.name for path in run_dir.glob("checkpoints/.bad-*")]
    print(f"quarantined as damaged: {', '.join(aside) or 'none'}")
    print(f"best: {best_checkpoint(place / 'whole').name}, {best_checkpoint(run_dir).name}")
    return differences(place / "whole", run_dir)


if __name__ == "__main__":
    sys.exit(run_command(main))
