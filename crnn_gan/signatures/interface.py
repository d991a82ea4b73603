"""What a caller of an exported model may ask for, and how anything else is refused in words."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # TensorFlow and Keras are slow to import, and refusing needs neither.
    import tensorflow as tf

    from crnn_gan.models.model import Control
    from pipelines.codecs.codec import NoteCodec, Spec

FORMAT = 1  # Of signature.json.
LONGEST = 100_000  # Steps of a piece; hours of music in every codec.
MOST_PIECES = 10_000  # In one call: a slip of the keyboard should not take all memory.


@dataclasses.dataclass(frozen=True)
class Argument:
    """One named number that a caller gives.

    Attributes:
      dtype: "int32", "int64" or "float32".
      low, high: what is taken, both ends included.
      default: what stands in where a caller gives none; None where one must be given.
      help: what it does, in a sentence.
    """

    dtype: str
    low: float
    high: float
    default: float | None
    help: str

    @property
    def range(self) -> str:
        """What to give, in words."""
        ends = (self.low, self.high)
        low, high = (f"{end:g}" if self.dtype == "float32" else str(end) for end in ends)
        return f"give {low} to {high}"


@dataclasses.dataclass(frozen=True)
class Interface:
    """What a model's `generate` takes, and the time of what it gives.

    Attributes:
      arguments: in order: seed, count, length, then the model's controls.
      step: what `length` counts, in words, such as "note".
      ticks_per_quarter: ticks of a quarter note in `notes`.
      microseconds_per_quarter: the tempo of `midi_bytes`.
      continues: whether it can go on from a primer.
    """

    arguments: dict[str, Argument]
    step: str
    ticks_per_quarter: int
    microseconds_per_quarter: int
    continues: bool = False

    @classmethod
    def of(
        cls,
        controls: Mapping[str, Control],
        codec: NoteCodec,
        default_length: int,
        continues: bool = False,
    ) -> Interface:
        """Gives the interface of a model with these controls.

        Raises:
          ValueError: a control has the name of another argument, or a default is out of
            its range.
        """
        arguments = _arguments(controls, codec.spec.step, default_length)
        tempo = codec.microseconds_per_quarter
        interface = cls(arguments, codec.spec.step, codec.ticks_per_quarter, tempo, continues)
        interface.refuse({n: a.default for n, a in arguments.items() if a.default is not None})
        return interface

    def refuse(self, values: Mapping[str, float]) -> None:
        """Checks values before anything heavy is loaded.

        Raises:
          ValueError: names the first value that is out of range, and the range.
        """
        for name, value in values.items():
            argument = self.arguments[name]
            if not argument.low <= value <= argument.high:
                raise ValueError(f"{name} is {value}; {argument.range}")

    def seconds(self, ticks: int) -> float:
        """Gives the seconds that some ticks of `notes` last."""
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
            arguments = {name: Argument(**a) for name, a in values["arguments"].items()}
            time = values["ticks_per_quarter"], values["microseconds_per_quarter"]
            # Models that were exported before there were primers do not say.
            return cls(arguments, values["step"], *time, bool(values.get("continues", False)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"cannot read {path}: {error}; export the model again") from error


def _arguments(
    controls: Mapping[str, Control], step: str, default_length: int
) -> dict[str, Argument]:
    seed_help = "seed of the first piece; piece i is that of seed + i"
    arguments = {
        "seed": Argument("int64", -(2**63), 2**63 - 1, None, seed_help),
        "count": Argument("int32", 1, MOST_PIECES, 1, "pieces to make"),
        "length": Argument(
            "int32", 1, LONGEST, default_length, f"steps of a piece; one is a {step}"
        ),
    }
    for name, control in controls.items():
        if name in arguments:
            raise ValueError(f"the control {name!r} has the name of an argument; rename it")
        ends = (control.low, control.high)
        arguments[name] = Argument(control.dtype, *ends, control.default, control.help)
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


def _one_each(name: str, value: tf.Tensor, seeds: tf.Tensor) -> Any:
    import tensorflow as tf

    sizes = [tf.strings.as_string(tf.size(x)) for x in (value, seeds)]
    text = [f"{name} has ", sizes[0], " values and seed ", sizes[1]]
    text = tf.strings.join([*text, "; give one of each a piece, and 1 piece or more"])
    return tf.debugging.Assert((tf.size(value) == tf.size(seeds)) & (tf.size(seeds) > 0), [text])


def _in_range(name: str, value: tf.Tensor, argument: Argument) -> Any:
    import tensorflow as tf

    low, high = (tf.constant(end, argument.dtype) for end in (argument.low, argument.high))
    good = (value >= low) & (value <= high)  # Not a number is not good.
    first_bad = value[tf.argmin(tf.cast(good, tf.int32))]
    shown = tf.strings.as_string(first_bad, shortest=argument.dtype == "float32")
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
    most = LONGEST
    text = tf.strings.join(
        ["primer has ", tf.strings.as_string(steps), f" steps; give 1 to {most}"]
    )
    checks = [tf.debugging.Assert((steps > 0) & (steps <= most), [text])]
    if spec.kind == "tokens":
        known = (primer >= 0) & (primer < spec.size)
        words = f"primer holds tokens that are none; give 0 to {spec.size - 1}"
        checks.append(tf.debugging.Assert(tf.reduce_all(known), [words]))
    return checks
