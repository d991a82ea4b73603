"""What a caller of an exported model may ask for, and how anything else is refused in words."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crnn_gan.generation.controls import Control
from crnn_gan.generation.memory import Memory
from pipelines.codecs.codec import Codec, File
from pipelines.codecs.note_codec import MIDI_FILE, NOTE_OUTPUTS, PEDAL_OUTPUTS, NoteCodec
from pipelines.spec import Spec

if TYPE_CHECKING:  # TensorFlow and Keras are slow to import, and refusing needs neither.
    import tensorflow as tf


FORMAT = 1  # Of signature.json.
LONGEST = 100_000  # Steps of a piece; hours of music in every codec of notes.
LONGEST_SOUND = 1_000_000  # Samples; two minutes at 8,000 a second.
SUM_TOLERANCE = 0.01  # Shares are often rounded to two digits.
MOST_PIECES = 10_000  # In one call: a slip of the keyboard should not take all memory.


@dataclasses.dataclass(frozen=True)
class Argument:
    """One named number that a caller gives, or several.

    Attributes:
      dtype: "int32", "int64" or "float32".
      low, high: what is taken of each number, both ends included.
      default: what stands in where a caller gives none; None where one must be given.
      help: what it does, in a sentence.
      sums_to_one: whether numbers must sum to 1, to `SUM_TOLERANCE`; all 0 is taken as well.
      size: how many numbers it is; 0 of a single one, which has no axis.
    """

    dtype: str
    low: float
    high: float
    default: float | tuple[float, ...] | None
    help: str
    sums_to_one: bool = False
    size: int = 0

    @property
    def range(self) -> str:
        """What to give, in words."""
        ends = (self.low, self.high)
        low, high = (f"{end:g}" if self.dtype == "float32" else str(end) for end in ends)
        if not self.size:
            return f"give {low} to {high}"
        sums = ", which sum to 1, or all 0" if self.sums_to_one else ""
        return f"give {self.size} numbers, each {low} to {high}{sums}"

    def takes(self, value: float | Sequence[float]) -> bool:
        """Whether a value is in range."""
        numbers = tuple(value) if isinstance(value, Sequence) else (value,)
        if len(numbers) != max(1, self.size) or isinstance(value, Sequence) != bool(self.size):
            return False
        if not all(self.low <= number <= self.high for number in numbers):
            return False
        total = sum(numbers)
        return not self.sums_to_one or total == 0 or abs(total - 1) <= SUM_TOLERANCE


@dataclasses.dataclass(frozen=True)
class Interface:
    """What a model's `generate` takes and gives, and the time of its notes.

    Attributes:
      arguments: in order: seed, count, length, then the model's controls.
      step: what `length` counts, in words, such as "note".
      ticks_per_quarter: ticks of a quarter note in `notes`; None where it gives none.
      microseconds_per_quarter: the tempo of `midi_bytes`; None where it gives none.
      continues: whether it can go on from a primer.
      outputs: what it gives: {name: what it is, in words}.
      file: the one of them that is a file.
      memory: what a request may take; None of models that were exported before they said so, and
        are asked for any values in range.
    """

    arguments: dict[str, Argument]
    step: str
    ticks_per_quarter: int | None
    microseconds_per_quarter: int | None
    continues: bool = False
    outputs: dict[str, str] = dataclasses.field(default_factory=lambda: dict(NOTE_OUTPUTS))
    file: File = MIDI_FILE
    memory: Memory | None = None

    @classmethod
    def of(
        cls,
        controls: Mapping[str, Control],
        codec: Codec,
        default_length: int,
        continues: bool = False,
    ) -> Interface:
        """Gives the interface of a model with these controls.

        Raises:
          ValueError: a control has the name of another argument, or a default is out of
            its range.
        """
        arguments = _arguments(controls, codec.spec, default_length)
        time: tuple[int | None, int | None] = (None, None)
        if isinstance(codec, NoteCodec):
            time = codec.ticks_per_quarter, codec.microseconds_per_quarter
        interface = cls(
            arguments,
            codec.spec.step,
            *time,
            continues,
            dict(codec.output_descriptions),
            codec.file,
        )
        interface.refuse({n: a.default for n, a in arguments.items() if a.default is not None})
        return interface

    def refuse(self, values: Mapping[str, float | Sequence[float]]) -> None:
        """Checks values before anything heavy is loaded.

        Raises:
          ValueError: names the first value that is out of range, and the range.
        """
        for name, value in values.items():
            argument = self.arguments[name]
            if not argument.takes(value):
                shown = ",".join(map(str, value)) if isinstance(value, Sequence) else value
                raise ValueError(f"{name} is {shown}; {argument.range}")

    def refuse_steps(self, length: int, primer_steps: int = 0) -> None:
        """Checks the length of a piece before anything heavy is loaded.

        Raises:
          ValueError: one piece of so many steps is beyond `memory`.
        """
        if self.memory:
            self.memory.refuse(1, length + primer_steps)

    def seconds(self, ticks: int) -> float:
        """Gives the seconds that some ticks of `notes` last.

        Raises:
          ValueError: the model gives no notes.
        """
        if self.ticks_per_quarter is None or self.microseconds_per_quarter is None:
            raise ValueError(f"a model that gives {self.file.suffix} files has no ticks")
        return ticks * self.microseconds_per_quarter / self.ticks_per_quarter / 1_000_000

    def to_json(self) -> dict[str, Any]:
        """Gives it as plain JSON values."""
        return {"format": FORMAT, **dataclasses.asdict(self)}

    @classmethod
    def read(cls, folder: Path) -> Interface:
        """Reads the signature.json of an exported model.

        Raises:
          ValueError: there is none, or it is not one of ours.
        """
        path = folder / "signature.json"
        if not path.is_file():
            raise ValueError(
                f"{folder} is not an exported model: it has no signature.json; "
                "python -m crnn_gan.export makes one from a run directory"
            )
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values["format"] != FORMAT:
                raise ValueError(f"its format is {values['format']}, this program reads {FORMAT}")
            arguments = {name: _argument(a) for name, a in values["arguments"].items()}
            time = values["ticks_per_quarter"], values["microseconds_per_quarter"]
            # Models that were exported before there were primers do not say, and all that were
            # exported before there were other files than MIDI give that.
            continues = bool(values.get("continues", False))
            outputs = values["outputs"] if "outputs" in values else _outputs_before(values)
            file = File(**values["file"]) if "file" in values else MIDI_FILE
            if file.output not in outputs:
                raise ValueError(f"its file {file.output!r} is none of its outputs")
            memory = Memory(**values["memory"]) if values.get("memory") else None
            return cls(arguments, values["step"], *time, continues, dict(outputs), file, memory)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"cannot read {path}: {error}; export the model again") from error


def _outputs_before(values: Mapping[str, Any]) -> dict[str, str]:
    """The outputs of a model whose signature.json only names their operations."""
    names = values.get("signatures", {}).get("generate", {}).get("outputs", NOTE_OUTPUTS)
    known = NOTE_OUTPUTS | PEDAL_OUTPUTS
    return {name: words for name, words in known.items() if name in names}


def longest(spec: Spec) -> int:
    """Gives the most steps that a piece may have."""
    return LONGEST_SOUND if spec.kind == "audio" else LONGEST


def _arguments(
    controls: Mapping[str, Control], spec: Spec, default_length: int
) -> dict[str, Argument]:
    seed_help = "seed of the first piece; piece i is that of seed + i"
    arguments = {
        "seed": Argument("int64", -(2**63), 2**63 - 1, None, seed_help),
        "count": Argument("int32", 1, MOST_PIECES, 1, "pieces to make"),
        "length": Argument(
            "int32", 1, longest(spec), default_length, f"steps of a piece; one is a {spec.step}"
        ),
    }
    for name, control in controls.items():
        if name in arguments:
            raise ValueError(f"the control {name!r} has the name of an argument; rename it")
        ends = (control.low, control.high)
        words, sums = control.help, control.sums_to_one
        size = len(control.default) if isinstance(control.default, tuple) else 0
        arguments[name] = Argument(control.dtype, *ends, control.default, words, sums, size)
    return arguments


def checked(
    arguments: Mapping[str, Argument], values: Mapping[str, tf.Tensor]
) -> dict[str, tf.Tensor]:
    """Gives the same values [batch], in a graph that fails in words when one is out of range.

    What is computed from the result waits for the check: a length of two thousand million
    is refused before its noise is drawn.

    Raises:
      tf.errors.InvalidArgumentError: when the graph runs, with name, value and range; or
        when the values are not one of each a piece.
    """
    import tensorflow as tf

    assertions = []
    for name, value in values.items():
        with tf.control_dependencies([_one_each(name, value, values["seed"])]):
            assertions.append(_in_range(name, tf.identity(value), arguments[name]))
    with tf.control_dependencies(assertions):
        return {name: tf.identity(value) for name, value in values.items()}


def fitting(
    memory: Memory, values: Mapping[str, tf.Tensor], primer_steps: Any = 0
) -> dict[str, tf.Tensor]:
    """Gives the same values [batch], in a graph that fails in words when all of them together take
    too much memory; as `checked`, before any is taken."""
    import tensorflow as tf

    steps = tf.reduce_max(values["length"]) + primer_steps
    with tf.control_dependencies([memory.assertion(tf.size(values["seed"]), steps)]):
        return {name: tf.identity(value) for name, value in values.items()}


def _argument(values: dict[str, Any]) -> Argument:
    """Reads an argument as JSON holds it."""
    default = values["default"]
    default = tuple(default) if isinstance(default, list) else default
    return Argument(**{**values, "default": default})


def _one_each(name: str, value: tf.Tensor, seeds: tf.Tensor) -> Any:
    import tensorflow as tf

    sizes = [tf.strings.as_string(tf.shape(x)[0]) for x in (value, seeds)]
    text = [f"{name} has ", sizes[0], " values and seed ", sizes[1]]
    text = tf.strings.join([*text, "; give one of each a piece, and 1 piece or more"])
    is_one_each = (tf.shape(value)[0] == tf.size(seeds)) & (tf.size(seeds) > 0)
    return tf.debugging.Assert(is_one_each, [text])


def _in_range(name: str, value: tf.Tensor, argument: Argument) -> Any:
    import tensorflow as tf

    low, high = (tf.constant(end, argument.dtype) for end in (argument.low, argument.high))
    good = (value >= low) & (value <= high)  # Not a number is not good.
    if argument.size:
        good = tf.reduce_all(good, axis=-1)
        total = tf.reduce_sum(value, axis=-1)
        if argument.sums_to_one:
            good &= (total == 0) | (tf.abs(total - 1) <= SUM_TOLERANCE)
    first_bad = value[tf.argmin(tf.cast(good, tf.int32))]
    shown = tf.strings.as_string(first_bad, shortest=argument.dtype == "float32")
    shown = tf.strings.reduce_join(shown, separator=",") if argument.size else shown
    text = tf.strings.join([f"{name} is ", shown, f"; {argument.range}"])
    return tf.debugging.Assert(tf.reduce_all(good), [text])


def primer_checks(primer: tf.Tensor, spec: Spec) -> list[Any]:
    """Gives assertions of a graph that fail in words where a primer is none.

    Args:
      primer: int32 [steps, ...].
      spec: of the codec.
    """
    import tensorflow as tf

    steps = tf.shape(primer)[0]
    most = longest(spec)
    text = tf.strings.join(
        ["primer has ", tf.strings.as_string(steps), f" steps; give 1 to {most}"]
    )
    checks = [tf.debugging.Assert((steps > 0) & (steps <= most), [text])]
    if spec.kind in ("tokens", "audio"):
        known = (primer >= 0) & (primer < spec.size)
        what = "tokens" if spec.kind == "tokens" else "levels"
        words = f"primer holds {what} that are none; give 0 to {spec.size - 1}"
        checks.append(tf.debugging.Assert(tf.reduce_all(known), [words]))
    return checks
