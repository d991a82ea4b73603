"""What the commands say of files that were edited or damaged: one sentence each, or a traceback.

Makes a tiny run, its exported model and its prepared data. Then, with a fixed seed, edits the JSON
files (values of other types, out of range, keys gone, twice and unknown, text that is no JSON; of
the manifests also with their hashes made right again) and reads them as the commands do; and
damages each file of the three directories in five ways (cut, emptied, bytes flipped, replaced by a
directory, replaced by another kind of file) and calls the commands. Prints a table, and exits with
1 if anything ended otherwise than in one sentence or in what was asked for.

    python benchmarks/damaged_files.py [--edits=500]
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import hashlib
import io
import json
import os
import random
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from machine import machine

from pipelines import prepare, records
from pipelines.command_line import parse, run_command
from pipelines.formats import midi
from pipelines.manifest import Manifest, read_manifest
from pipelines.score import Score
from pipelines.score_arrays import NOTE
from pipelines.settings import Settings, flag

TINY = (
    "--model=c_rnn_gan", "--preset=tiny", "--max_epoch=2", "--window_steps=12", "--batch_size=4",
    "--windows_per_piece=2", "--samples_per_epoch=2", "--precision=float32", "--best_by=polyphony",
)  # fmt: skip
STRANGE = (
    *(None, True, False, 0, 1, -1, 3, 2**31, 10**9, -(2**63), 2**64 - 1, 0.5, -0.5, 1e300, -1e-300),
    *("", "x", "1", "\0", "a\nb", "../../x", "epoch", "x" * 10_000, [], [None], [[]], {}),
    *({"a": {}}, [1] * 100, ["x"], {"name": "x"}, "\U0001f3b5"),
)
TEXTS = (
    *(b"", b"null", b"[]", b"{}", b"3", b'"x"', b"{", b"[" * 100_000, b'{"a":' * 100_000),
    *(b"\xef\xbb\xbf{}", b"\xff\xfe", b"\0" * 64, b"{} {}", b"[NaN]", b"[1e999]"),
    *(b"[" + b"9" * 5000 + b"]", b'["\\ud800"]'),
)
KINDS = ("cut", "emptied", "flipped", "a directory", "another kind")


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """How many edits, drawn from which seed."""

    edits: int = flag(500, "edits of each JSON file", at_least=1)
    seed: int = flag(0, "random seed of the edits", at_least=0)
    damages: bool = flag(True, "also damage each file in five ways and call the commands")


@dataclasses.dataclass
class Count:
    """How often a file was tried, and how it ended."""

    tries: int = 0
    refused: int = 0
    accepted: int = 0
    wrong: int = 0


def attempt(count: Count, name: str, action: Callable[[], Any]) -> None:
    """Calls what reads a file, and counts how it ended; what is wrong is printed."""
    count.tries += 1
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            action()
        count.accepted += 1
    except (ValueError, OSError) as error:  # What `run_command` prints as one line.
        is_sentence = str(error).strip() and "\n" not in str(error) and len(str(error)) < 2000
        if is_sentence:
            count.refused += 1
            return
        count.wrong += 1
        print(f"WRONG: {name}: not one sentence: {type(error).__name__} {str(error)[:300]!r}")
    except Exception as error:  # What would be a traceback.
        count.wrong += 1
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{place.filename}:{place.lineno}"
        print(f"WRONG: {name}: {type(error).__name__} {str(error)[:200]!r} at {where}")


def write_music(folder: Path, pieces: int = 6, notes: int = 60) -> None:
    """Writes MIDI files of random walks."""
    import numpy as np

    folder.mkdir()
    chance = np.random.default_rng(0)
    for piece in range(pieces):
        rows = np.zeros(notes, NOTE)
        rows["onset"], rows["duration"] = 240 * np.arange(notes), 240
        rows["pitch"] = 60 + np.cumsum(chance.integers(-2, 3, notes)) % 24
        rows["velocity"] = 64
        midi.write(Score(480, rows), folder / f"{piece}.mid")


def prepare_words(folder: Path) -> list[str]:
    """The command line that prepares the music of a folder."""
    words = ["--source=folder", f"--path={folder / 'music'}", f"--data_dir={folder / 'data'}"]
    return [*words, "--workers=1", "--train_fraction=0.7", "--validation_fraction=0.2"]


def train_words(folder: Path, run: str = "run") -> list[str]:
    """The command line that trains a run."""
    return [*TINY, f"--data_dir={folder / 'data'}", f"--run_dir={folder / run}"]


def make(folder: Path) -> None:
    """Makes music, prepared data, a run of two epochs and an exported model."""
    from crnn_gan import export, train

    write_music(folder / "music")
    prepare.main(prepare_words(folder))
    train.main(train_words(folder))
    (folder / "run" / "alarms.txt").write_text("epoch 1: repetitions are far above\n")
    export.main([f"--run_dir={folder / 'run'}", f"--export_dir={folder / 'model'}"])


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Gives the path of each value within a JSON value."""
    yield path
    pairs = enumerate(value) if isinstance(value, list) else ()
    for key, inside in value.items() if isinstance(value, dict) else pairs:
        yield from places(inside, (*path, key))


def edited(values: Any, chance: random.Random) -> Any:
    """Gives the values with one of them changed, gone, renamed, or with one more."""
    values = copy.deepcopy(values)
    *way, last = chance.choice([path for path in places(values) if path])
    holder = values
    for key in way:
        holder = holder[key]
    how = chance.randrange(8)
    if how == 0:
        del holder[last]
    elif how == 1 and isinstance(holder, dict):
        holder[f"{last}_of_tomorrow"] = holder.pop(last)
    elif how == 2 and isinstance(holder, dict):
        holder["hats"] = chance.choice(STRANGE)
    elif how == 3 and isinstance(holder[last], int | float):
        holder[last] = holder[last] * chance.choice((-1, 2, 10, 1000, 0.5)) + chance.choice((0, 1))
    elif how == 4:
        holder[last] = [holder[last]]
    else:
        holder[last] = chance.choice(STRANGE)
    return values


def texts(values: Any, edits: int, chance: random.Random) -> Iterator[bytes]:
    """Gives so many texts: first those that are no such JSON, then edits of the values."""
    whole = json.dumps(values).encode()
    first = [*TEXTS, whole[: len(whole) // 2], whole.replace(b"{", b'{"a": 1, "a": 2, ', 1)]
    yield from first[:edits]
    for _ in range(edits - len(first)):
        yield json.dumps(edited(values, chance)).encode()


def resealed(text: bytes) -> bytes:
    """Gives the text of a data manifest with the hash that it ought to have."""
    try:
        values = json.loads(text)
        del values["sha256"]
        sha256 = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
        return json.dumps({**values, "sha256": sha256}).encode()
    except (ValueError, KeyError, TypeError, RecursionError):
        return text


def readers(folder: Path) -> dict[str, tuple[Path, Callable[[], Any]]]:
    """Gives for each JSON file its path, and what the commands do with it."""
    from crnn_gan.evaluation.reference import learned_from
    from crnn_gan.evaluation.training_curves import read_training
    from crnn_gan.generation.interface import Interface
    from crnn_gan.generation.pieces import arguments, controls_of
    from crnn_gan.runs import checkpoint
    from crnn_gan.runs.best import best_of_run
    from crnn_gan.runs.configuration import RunConfig, refuse_too_large
    from crnn_gan.runs.run import interface_of_run
    from pipelines.dataset import open_pieces

    run, model, data = folder / "run", folder / "model", folder / "data"
    built = RunConfig.read(run).build_model("float32")

    def ask(interface: Interface) -> None:
        settings, controls = {"seed": 1, "count": 2, "length": None}, controls_of(interface)
        parse([], "", controls)
        arguments(settings, dataclasses.asdict(controls()), interface)

    def read_run() -> None:
        from crnn_gan.models.registry import model_class

        ask(interface_of_run(run))
        config = RunConfig.read(run)
        settings, cls = config.settings(), model_class(config.model)
        refuse_too_large(lambda: cls(settings, config.spec, seed=0))
        read_training(run)
        learned_from(run)

    def read_data() -> None:
        manifest: Manifest = read_manifest(data)
        open_pieces(data, "train")
        manifest.require_complete()
        manifest.build_codec()
        prepare.summary(manifest, str(data))
        records.verify(data, manifest)

    return {
        "run/config.json": (run / "config.json", read_run),
        "model/config.json": (
            model / "config.json",
            lambda: (RunConfig.read(model).build_codec(), learned_from(model)),
        ),
        "signature.json": (model / "signature.json", lambda: ask(Interface.read(model))),
        "data manifest": (data / "manifest.json", read_data),
        "data manifest, resealed": (data / "manifest.json", read_data),
        "checkpoint manifest": (
            run / "checkpoints" / "epoch-000002" / "manifest.json",
            lambda: checkpoint.restore_weights(run, built, "2"),
        ),
        "bands.json": (run / "bands.json", lambda: (best_of_run(run, [1, 2]), read_training(run))),
    }


def edit_all(folder: Path, edits: int, seed: int) -> dict[str, Count]:
    """Edits each JSON file so often, and reads it; gives how that ended."""
    counts = {}
    for name, (path, read) in readers(folder).items():
        count, whole = counts.setdefault(name, Count()), path.read_bytes()
        read()
        for number, text in enumerate(texts(json.loads(whole), edits, random.Random(seed))):
            path.write_bytes(resealed(text) if "resealed" in name else text)
            attempt(count, f"{name}, edit {number}", read)
        path.write_bytes(whole)
    return counts


def damage(path: Path, kind: str, chance: random.Random) -> None:
    """Damages a file in one of the `KINDS` of ways."""
    content = path.read_bytes()
    if kind == "a directory":
        path.unlink()
        path.mkdir()
    elif kind == "flipped":
        changed = bytearray(content or b"\0")
        for _ in range(5):
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
    else:
        other = b"\x89PNG\r\n\x1a\n" + chance.randbytes(200)
        path.write_bytes({"cut": content[: len(content) // 2], "emptied": b""}.get(kind, other))


def commands(folder: Path) -> dict[str, list[Callable[[], Any]]]:
    """Gives for each directory the commands that read it."""
    from crnn_gan import evaluate, export, sample, train

    out, run, model = folder / "out", folder / "run", folder / "model"
    few = ["--count=2", "--length=12", f"--out_dir={out}"]
    compared = [*few, f"--reference={folder / 'music'}", "--nooriginality", "--shown=0"]
    return {
        "run": [
            lambda: sample.main([f"--run_dir={run}", *few, "--checkpoint=best"]),
            lambda: evaluate.main([f"--run_dir={run}", *compared]),
            lambda: export.main([f"--run_dir={run}", f"--export_dir={folder / 'again'}"]),
            lambda: train.main(train_words(folder)),
        ],
        "model": [
            lambda: sample.main([f"--saved_model={model}", *few]),
            lambda: evaluate.main([f"--saved_model={model}", *compared]),
        ],
        "data": [
            lambda: train.main(train_words(folder, "new")),
            lambda: prepare.main(prepare_words(folder)),
        ],
    }


def damage_all(folder: Path, seed: int) -> dict[str, Count]:
    """Damages each file of each directory in each way, and calls the commands."""
    counts, chance = {}, random.Random(seed)
    for name, calls in commands(folder).items():
        whole = folder / f"{name}.whole"
        shutil.copytree(folder / name, whole)
        for file in sorted(p.relative_to(whole) for p in whole.rglob("*") if p.is_file()):
            count = counts.setdefault(f"damaged: {name}/{file}", Count())
            print(f"{name}/{file}", file=sys.stderr, flush=True)
            # What an epoch left, tables aside, is looked at by the trainer alone.
            is_left = file.parts[0] in ("logs", "generated_data") and file.suffix != ".tsv"
            looked_at = calls[-1:] if is_left else calls
            for kind in KINDS:
                for number, call in enumerate(looked_at):
                    for made in (name, "new", "out", "again"):
                        shutil.rmtree(folder / made, ignore_errors=True)
                    shutil.copytree(whole, folder / name)
                    damage(folder / name / file, kind, chance)
                    attempt(count, f"{name}/{file}, {kind}, command {number}", call)
        shutil.rmtree(folder / name)
        whole.rename(folder / name)
    return counts


def table(counts: dict[str, Count]) -> str:
    """Writes the counts, a line per file."""
    lines = [f"{'file':60} {'tries':>6} {'refused':>8} {'accepted':>9} {'wrong':>6}"]
    for name, c in counts.items():
        lines.append(f"{name[-60:]:60} {c.tries:6} {c.refused:8} {c.accepted:9} {c.wrong:6}")
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    """Damages all, and prints the table."""
    [flags] = parse(argv, __doc__ or "", Flags)
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    print(machine())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make(folder)
        counts = edit_all(folder, flags.edits, flags.seed)
        if flags.damages:
            counts |= damage_all(folder, flags.seed)
    print(table(counts))
    if wrong := sum(count.wrong for count in counts.values()):
        raise ValueError(f"{wrong} ended in a traceback, or in more than one sentence")


if __name__ == "__main__":
    sys.exit(run_command(main))
