"""Pieces from a sampler: the arguments it takes, made in batches of bounded memory, and written."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from crnn_gan.generation.interface import Argument, Interface
from crnn_gan.generation.made_outputs import require_outputs
from crnn_gan.generation.memory import GIBIBYTE
from pipelines.atomic_file import write_atomically
from pipelines.file_faults import reason
from pipelines.formats import abc_notation, midi, wav
from pipelines.leftovers import remove_leftovers
from pipelines.score import Score
from pipelines.settings import UsageError, flag

if TYPE_CHECKING:  # TensorFlow is slow to import, and a wrong flag needs no TensorFlow.
    from crnn_gan.generation.primer import Primer
    from crnn_gan.generation.saved_model import Sampler

STEPS_AT_ONCE = 2**17  # Of all pieces of a batch: bounds the memory of a long command.


@dataclasses.dataclass(frozen=True)
class Sampled:
    """A piece in memory.

    Attributes:
      seed: of the piece.
      files: {end of their names: content}; first the one that the model gives.
      notes: how many it has; None of sound.
      seconds: that it lasts.
      remark: what is printed of it, such as its originality.
      score: as it was read of a text; None of what is read again by `read`.
      faults: what was passed over in its text.
    """

    seed: int
    files: Mapping[str, bytes]
    notes: int | None
    seconds: float
    remark: str = ""
    score: Score | None = None
    faults: int = 0

    def read(self) -> Score:
        """Gives its Score. KeyError of sound, which has none."""
        return midi.read_score(self.files[".mid"]) if self.score is None else self.score

    def __str__(self) -> str:
        notes = [] if self.notes is None else [f"{self.notes} notes"]
        parts = [", ".join([*notes, f"{self.seconds:.1f} s"])]
        if self.faults:
            there_is_none = "" if self.notes else ", and no note can be read of it"
            number = "a fault" if self.faults == 1 else f"{self.faults} faults"
            parts.append(f"its text has {number}{there_is_none}")
        return "; ".join([*parts, *([self.remark] if self.remark else [])])


@dataclasses.dataclass(frozen=True)
class Piece:
    """A piece that was written, and the file that the model gave."""

    path: Path
    made: Sampled


Make: TypeAlias = Callable[[Mapping[str, Any]], Iterable[Sampled]]


def gives_scores(interface: Interface) -> bool:
    """Whether notes come back from the files that a model gives."""
    return interface.file.output != "wav_bytes"


def controls_of(interface: Interface) -> type:
    """Makes the flag dataclass of what the model lets a caller set; its docstring says the limit of
    a request."""
    fields = [
        (
            name,
            _type_of(argument),
            flag(argument.default, f"{argument.help}, {argument.low:g} to {argument.high:g}"),
        )
        for name, argument in interface.arguments.items()
        if name not in ("seed", "count", "length")
    ]
    cls = dataclasses.make_dataclass("Controls", fields, frozen=True)
    cls.__doc__ = "What the model lets you set."
    if memory := interface.memory:
        length = interface.arguments["length"].default
        longest = min(memory.most_steps, interface.arguments["length"].high)
        limit = memory.limit_bytes / GIBIBYTE
        cls.__doc__ = (
            f"What the model lets you set. What is made at once takes at most {limit:.1f} GiB: "
            f"{memory.most_pieces(length)} pieces of {length} steps, or one of "
            f"{longest:g}; more pieces are made in batches."
        )
    return cls


def _type_of(argument: Argument) -> Any:
    if argument.size:
        return tuple[str, ...]
    return float if argument.dtype == "float32" else int


def _numbers(name: str, value: Any) -> Any:
    """Gives a value, of a list its numbers. UsageError where one is none."""
    if not isinstance(value, tuple):
        return value
    try:
        return tuple(map(float, value))
    except ValueError:
        raise UsageError(
            f"--{name} is {','.join(map(str, value))}; give numbers separated by commas"
        ) from None


def arguments(
    wanted: Mapping[str, Any], controls: Mapping[str, float], interface: Interface
) -> dict[str, Any]:
    """Gives the arguments of `Sampler.generate`, after a check of each.

    Args:
      wanted: seed, count and length; a length of None is that of training.
      controls: what else the model takes.
      interface: of the model.

    Raises:
      ValueError: a value is out of its range, or a piece so long that it takes too much memory.
    """
    values: dict[str, Any] = {name: wanted[name] for name in ("seed", "count")}
    values |= {name: _numbers(name, value) for name, value in controls.items()}
    default = interface.arguments["length"].default
    values["length"] = default if wanted["length"] is None else wanted["length"]
    interface.refuse(values)
    interface.refuse({"seed": values["seed"] + values["count"] - 1})  # That of the last piece.
    interface.refuse_steps(values["length"])
    return values


def write_pieces(
    make: Make, values: Mapping[str, Any], out_dir: Path, name: str
) -> Iterator[Piece]:
    """Makes pieces and writes the files of each, `out_dir/name-seed.mid`, whole or not at all.

    Args:
      make: gives pieces, as `sampled` of a sampler does.
      values: the arguments of `Sampler.generate`, seed, count and length among them.
      out_dir: made if it is missing.
      name: what file names begin with.

    Raises:
      OSError: a file cannot be written.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out_dir)
    for made in make(values):
        paths = [out_dir / f"{name}-{made.seed}{end}" for end in made.files]
        for path, content in zip(paths, made.files.values(), strict=True):
            write_atomically(path, content)
        yield Piece(paths[0], made)


def sampled(
    sampler: Sampler, values: Mapping[str, Any], primer: Primer | None = None
) -> Iterator[Sampled]:
    """Makes pieces, some at once, so that many take no more memory than a few.

    Args:
      sampler: of a run or an exported model.
      values: as for `sample`.
      primer: that all pieces begin with.

    Raises:
      ValueError: a piece is so long that it takes too much memory.
    """
    primer_steps = len(primer.array) if primer else 0
    sampler.interface.refuse_steps(values["length"], primer_steps)
    steps, memory = values["length"] + primer_steps, sampler.interface.memory
    at_once = max(16, STEPS_AT_ONCE // steps)  # Rows are made 16 at a time anyway.
    at_once = min(at_once, memory.most_pieces(steps)) if memory else at_once
    for first in range(0, values["count"], at_once):
        seed, count = values["seed"] + first, min(at_once, values["count"] - first)
        asked = {**values, "seed": seed, "count": count}
        with _faults_in_words():
            if primer:
                made = sampler.continue_primer(primer.array, **asked)
            else:
                made = sampler.generate(**asked)
            rows = {name: value.numpy() for name, value in made.items()}
        file = sampler.interface.file.output
        require_outputs(rows, file, count)
        for row in range(count):
            one = {name: values[row] for name, values in rows.items() if len(values) == count}
            try:
                piece = _UNDERSTAND[file](seed + row, one, sampler.interface, primer)
            except ValueError as error:
                raise ValueError(
                    f"what the model gives as {file} for the seed {seed + row} cannot be read: "
                    f"{error}"
                ) from None
            yield piece


@contextlib.contextmanager
def _faults_in_words() -> Iterator[None]:
    """Raises a ValueError, one sentence, of what TensorFlow says while a graph runs."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        raise ValueError(
            f"the model could not make these pieces ({reason(error)}); ask for fewer or shorter "
            "ones, or, if it is damaged, export it again"
        ) from None


def _of_notes(
    seed: int, made: Mapping[str, Any], interface: Interface, primer: Primer | None
) -> Sampled:
    content, notes = made["midi_bytes"], int(made["note_count"])
    end = int((made["notes"][:, 0] + made["notes"][:, 1]).max(initial=0))
    files = {".mid": content}
    if primer:
        files["-continuation.mid"] = _continuation(midi.read_score(content), primer)
    return Sampled(seed, files, notes, interface.seconds(end))


def _of_text(
    seed: int, made: Mapping[str, Any], interface: Interface, primer: Primer | None
) -> Sampled:
    reading = abc_notation.read_tune(made["text"].decode(), lenient=True)
    score = reading.score
    faults = reading.faults + reading.doubtful.get(abc_notation.MEANINGLESS, 0)
    files = {".abc": made["text"]}
    if len(score.notes):
        files[".mid"] = midi.to_bytes(score)
        if primer:
            files["-continuation.mid"] = _continuation(score, primer)
    seconds = score.length_seconds
    return Sampled(seed, files, len(score.notes), seconds, score=score, faults=faults)


def _of_sound(
    seed: int, made: Mapping[str, Any], interface: Interface, primer: Primer | None
) -> Sampled:
    content = made["wav_bytes"]
    sound, rate = wav.parse(content)
    files = {".wav": content}
    if primer:
        files["-continuation.wav"] = wav.to_bytes(wav.pcm(sound[len(primer.array) :]), rate)
    return Sampled(seed, files, None, len(sound) / rate)


_UNDERSTAND = {"midi_bytes": _of_notes, "text": _of_text, "wav_bytes": _of_sound}


def _continuation(score: Score, primer: Primer) -> bytes:
    """The MIDI file of what comes after the primer."""
    first = round(primer.quarters * score.ticks_per_quarter)
    return midi.to_bytes(score.crop(first, max(first, score.length_ticks) + 1))
