"""Whether a long run keeps to its memory, and how many training graphs it traces.

Trains a tiny C-RNN-GAN (pretraining, then adversarial, on windows that grow by 4 events per
epoch) for 300 epochs in a process of its own, with all that the trainer does in an epoch:
sampling, MIDI, piano roll, statistics, TensorBoard, alarm, checkpoint. Prints its resident
memory (Linux) every 25 epochs; how much it grew over the last 100, between the means of the
10 epochs at either end; and how often a training graph was traced: once per stage, although
the length changes.

    python benchmarks/memory.py [--epochs=300]     (KERAS_BACKEND=jax: on JAX)
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean

from kill_and_resume import prepare_collection, write_collection

from pipelines.command_line import parse, run_command
from pipelines.settings import Settings, flag

EVERY, LAST, AVERAGED = 25, 100, 10  # Epochs.
MEBIBYTE = 2**20
TINY = (
    "--model=c_rnn_gan", "--window_steps=128", "--batch_size=4", "--windows_per_piece=1",
    "--hidden_size_g=8", "--hidden_size_d=8", "--pretraining_epochs=20", "--curriculum=whole",
    "--samples_per_epoch=2",
)  # fmt: skip
TRACES = "training graphs traced: "


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """How many epochs."""

    epochs: int = flag(300, "epochs of the run", at_least=LAST + AVERAGED + 1)
    worker: tuple[str, ...] = flag((), "flags of the trainer; set by the benchmark itself")


def worker(argv: list[str]) -> None:
    """Trains as the flags say, then prints how many graphs were traced."""
    from crnn_gan import train
    from crnn_gan.models.registry import config_class

    flags, config = parse(argv, "", train.Flags, config_class("c_rnn_gan"))
    model = train.train(flags, config)
    print(f"{TRACES}{model.traces} in {len(model.stages)} stages", flush=True)


def resident_bytes(process: int) -> int:
    """Reads the resident memory of a process. OSError: it has ended, or this is not Linux."""
    pages = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def measure(place: Path, epochs: int) -> tuple[list[int], str]:
    """Gives the resident bytes at the end of each epoch, and the line on traced graphs.

    Raises:
      ValueError: the trainer failed.
    """
    write_collection(place / "midi", pieces=4, notes=160)
    prepare_collection(place / "midi", place / "data")
    flags = [*TINY, f"--max_epoch={epochs}", f"--data_dir={place / 'data'}"]
    command = [sys.executable, __file__, f"--worker={','.join(flags)},--run_dir={place / 'run'}"]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    sizes, traces = [], ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("epoch "):
                sizes.append(resident_bytes(process.pid))
            elif line.startswith(TRACES):
                traces = line.strip()
    if process.returncode:
        raise ValueError(f"the trainer ended with status {process.returncode}; see above")
    return sizes, traces


def growth(sizes: list[int]) -> float:
    """Gives the share by which memory grew over the last epochs; see the top."""
    before = mean(sizes[-LAST - AVERAGED : -LAST])
    return mean(sizes[-AVERAGED:]) / before - 1


def main(argv: list[str]) -> None:
    """Runs it and prints it."""
    (flags,) = parse(argv, __doc__ or "", Flags)
    if flags.worker:
        worker(list(flags.worker))
        return
    with tempfile.TemporaryDirectory() as temporary:
        sizes, traces = measure(Path(temporary), flags.epochs)
    print("epoch  resident MiB")
    for epoch in range(EVERY, len(sizes) + 1, EVERY):
        print(f"{epoch:5}  {sizes[epoch - 1] / MEBIBYTE:12.1f}")
    print(f"growth over the last {LAST} epochs: {growth(sizes):+.2%}")
    print(traces)


if __name__ == "__main__":
    sys.exit(run_command(main))
