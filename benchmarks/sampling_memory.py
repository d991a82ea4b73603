"""How much memory sampling takes: of one long piece, and of many beside what the model states.

Exports each family with its default settings over a codec, untrained, its weights 1.5 times their
initial values so that the pieces are dense, which takes most memory. A process of its own loads
the exported model (Linux). The first table has the peak of the resident memory of the whole
process, TensorFlow and weights included, after loading and after one piece of `--steps` steps. In
the second each request stands with the memory that it took beyond what was there, and with that as
a share of the bound that signature.json states (`crnn_gan/generation/memory.py`): 1 or less, or the
bound is wrong.

    python benchmarks/sampling_memory.py [--steps=20000] [--cases=c_rnn_gan:note_tuples,...]
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import machine

from pipelines.command_line import parse, run_command
from pipelines.settings import Settings, UsageError, flag

MEBIBYTE, KIBIBYTE = 2**20, 2**10
REQUESTS = ((256, 8), (64, 256), (16, 1000))  # Pieces and steps.
CASES = (
    *("char_rnn:events", "char_rnn:abc_text", "char_rnn:piano_roll", "conditional_char_rnn:events"),
    *("wavenet:events", "wavenet:piano_roll", "wavenet:audio", "c_rnn_gan:note_tuples"),
    *("seq2seq:piano_roll", "parallel_wavenet:audio", "mlp_gan:piano_roll"),
)


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """What is measured."""

    steps: int = flag(20_000, "steps of the long piece", at_least=1)
    cases: tuple[str, ...] = flag(CASES, "families and codecs, MODEL:CODEC, separated by commas")
    worker: str = flag("", "exported model to measure; set by the benchmark itself")


def export(case: str, folder: Path) -> None:
    """Writes an exported model of a family over a codec."""
    import keras

    from crnn_gan.generation import saved_model
    from crnn_gan.models.registry import config_class, model_class
    from pipelines.codecs.codec import codec_class

    name, codec_name = case.split(":")
    codec = codec_class(codec_name)()
    keras.utils.set_random_seed(0)
    model = model_class(name)(config_class(name)(), codec.spec, seed=0)
    for variable in model.trainable_variables:
        variable.assign(variable.value * 1.5)
    sampler = saved_model.build(model, codec, model.piece_steps)
    saved_model.save(sampler, folder, {}, "")


def resident_bytes(name: str) -> int:
    """Reads VmRSS or VmHWM, the memory of this process now or at its peak (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * KIBIBYTE


def worker(folder: Path, steps: int) -> None:
    """Prints a JSON object of what an exported model takes."""
    from crnn_gan.generation import saved_model

    sampler = saved_model.load(folder)
    memory = sampler.interface.memory
    assert memory is not None  # It was written a moment ago.
    found: dict[str, object] = {"loaded": resident_bytes("VmHWM")}
    sampler.generate(seed=0, count=1, length=steps)
    found["long"] = resident_bytes("VmHWM")
    found["most"] = (memory.most_pieces(1000), memory.most_steps)
    found["requests"] = requests = []
    for count, length in REQUESTS:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # The peak begins here.
        before = resident_bytes("VmRSS")
        sampler.generate(seed=0, count=count, length=length)
        requests.append((resident_bytes("VmHWM") - before, memory.of(count, length)))
    print(json.dumps(found))


def measure(case: str, steps: int) -> dict:
    """Exports a case and gives what `worker` prints of it.

    Raises:
      ValueError: the process failed.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        export(case, folder)
        command = [sys.executable, __file__, f"--worker={folder}", f"--steps={steps}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"{case}: the process ended with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main(argv: list[str]) -> None:
    """Prints the tables."""
    (flags,) = parse(argv, __doc__ or "", Flags)
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"}
    if flags.worker:
        worker(Path(flags.worker), flags.steps)
        return
    if wrong := [case for case in flags.cases if case.count(":") != 1]:
        raise UsageError(f"--cases has {wrong[0]!r}; give MODEL:CODEC, such as {CASES[0]}")
    print(machine())
    heads = ("MiB loaded", f"{flags.steps} steps", "most pieces of 1000", "most steps")
    print(" " * 28, *(head.rjust(20) for head in heads))
    found = {}
    for case in flags.cases:
        found[case] = at = measure(case, flags.steps)
        loaded, long = (at[name] / MEBIBYTE for name in ("loaded", "long"))
        figures = (round(loaded), round(long), *at["most"])
        print(f"{case:28}", *(str(figure).rjust(20) for figure in figures), flush=True)
    print(f"\n{'MiB (share of the bound)':28}", *(f"{c} x {n}".rjust(16) for c, n in REQUESTS))
    for case, at in found.items():
        shown = [f"{took / MEBIBYTE:.0f} ({took / bound:.2f})" for took, bound in at["requests"]]
        print(f"{case:28}", *(text.rjust(16) for text in shown))


if __name__ == "__main__":
    sys.exit(run_command(main))
