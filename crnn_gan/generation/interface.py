"""What a caller of an exported model may ask for, and how anything else is refused in words."""

from __future__ import annotations

import dataclasses
import keyword
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from crnn_gan.generation.controls import Control
from crnn_gan.generation.made_outputs import READ
from crnn_gan.generation.memory import Memory
from pipelines.codecs.codec import Codec, File
from pipelines.codecs.note_codec import MIDI_FILE, NOTE_OUTPUTS, PEDAL_OUTPUTS, NoteCodec
from pipelines.json_file import read_json, shown
from pipelines.json_schema import UnknownKeyError, value_of
from pipelines.settings import Bounds
from pipelines.spec import Spec

FORMAT = 1  # Of signature.json.
LONGEST = 100_000  # Steps of a piece; hours of music in every codec of notes.
LONGEST_SOUND = 1_000_000  # Samples; two minutes at 8,000 a second.
SUM_TOLERANCE = 0.01  # Shares are often rounded to two digits.
LIMITS = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
NAME = re.compile(r"[a-z][a-z0-9_]*")
SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")
MOST_NUMBERS = 1024  # Of an argument; a histogram of pitch classes has 12.
MOST_PIECES = 10_000  # In one call: a slip of the keyboard should not take all memory.


Positive = Annotated[int, Bounds(at_least=1, at_most=2**31 - 1)]


class TensorFacts(TypedDict):
    """Where the graph of an exported model has a tensor; None in a shape is an axis of any size."""

    operation: str
    index: Annotated[int, Bounds(at_least=0)]
    dtype: str
    shape: list[Annotated[int, Bounds(at_least=0)] | None]


class Signature(TypedDict):
    """The tensors of a signature, by name."""

    inputs: dict[str, TensorFacts]
    outputs: dict[str, TensorFacts]


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

    dtype: Literal["int32", "int64", "float32"]
    low: float
    high: float
    default: float | tuple[float, ...] | None
    help: str
    sums_to_one: bool = False
    size: Annotated[int, Bounds(at_least=0, at_most=MOST_NUMBERS)] = 0

    def __post_init__(self) -> None:
        """Raises ValueError where the range is none of the dtype."""
        if self.low > self.high:
            raise ValueError(f"low is {self.low} and high {self.high}; expected low <= high")
        if self.dtype != "float32":
            smallest, largest = LIMITS[self.dtype]
            if not smallest <= self.low <= self.high <= largest:
                raise ValueError(
                    f"low is {self.low} and high {self.high}; expected what {self.dtype} holds"
                )
            numbers = self.default if isinstance(self.default, tuple) else (self.default,)
            if any(isinstance(number, float) for number in (self.low, self.high, *numbers)):
                raise ValueError(f"its dtype is {self.dtype}; expected whole numbers")

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
    ticks_per_quarter: Positive | None
    microseconds_per_quarter: Positive | None
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
        return interface

    @property
    def functions(self) -> tuple[str, ...]:
        """Names the functions of an exported model."""
        both = ("serving_default", "generate")
        return (*both, "continue_primer") if self.continues else both

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
        if not path.exists():
            raise ValueError(
                f"{folder} is not an exported model: it has no signature.json; "
                "python -m crnn_gan.export makes one from a run directory"
            )
        try:
            values = value_of(dict[str, Any], read_json(path))
            if values.pop("format", None) != FORMAT:
                raise ValueError(f"its format is not {FORMAT}, which this program reads")
            operations = value_of(dict[str, Signature], values.pop("signatures", {}), "signatures")
            if "outputs" not in values:  # Exported before there were others than MIDI.
                values["outputs"] = _outputs_before(operations)
            interface: Interface = value_of(cls, values)
            return interface
        except UnknownKeyError as error:
            raise ValueError(
                f"cannot read {path}: {error}; it was written by the version {_version(folder)}: "
                "use that one, or export the model again"
            ) from None
        except ValueError as error:
            raise ValueError(f"cannot read {path}: {error}; export the model again") from None

    def __post_init__(self) -> None:
        """Raises ValueError where its parts do not fit each other."""
        for name, dtype in (("seed", "int64"), ("count", "int32"), ("length", "int32")):
            if name not in self.arguments:
                raise ValueError(f"arguments has no key {name!r}; expected one")
            argument = self.arguments[name]
            if argument.dtype != dtype or argument.size:
                raise ValueError(f"arguments.{name} is not one {dtype}; expected that")
        if self.arguments["length"].default is None:
            raise ValueError("arguments.length has no default; expected one")
        self.refuse({n: a.default for n, a in self.arguments.items() if a.default is not None})
        for name in self.arguments:
            if not NAME.fullmatch(name) or keyword.iskeyword(name):
                raise ValueError(f"arguments has the key {shown(name)}; expected a name")
        for name in self.outputs:
            if not NAME.fullmatch(name):
                raise ValueError(f"outputs has the key {shown(name)}; expected a name")
        words = [self.step, *self.outputs.values(), *(a.help for a in self.arguments.values())]
        for text in words:  # They are printed.
            if not text.isprintable():
                raise ValueError(f"{shown(text)} stands there; expected text on one line")
        if not SUFFIX.fullmatch(self.file.suffix):
            raise ValueError(f"file.suffix is {shown(self.file.suffix)}; expected one like .mid")
        if self.file.output not in self.outputs or self.file.output not in READ:
            raise ValueError(
                f"file.output is {shown(self.file.output)}; expected one of the outputs that is a "
                f"file: {'|'.join(READ)}"
            )


def _version(folder: Path) -> str:
    """The version that exported a model, as far as its config.json says so."""
    try:
        revision = read_json(folder / "config.json")["versions"]["git_revision"]
    except (OSError, ValueError, LookupError, TypeError):
        return "unknown"
    return shown(revision)


def _outputs_before(operations: Mapping[str, Signature]) -> dict[str, str]:
    """The outputs of a model whose signature.json only names their operations."""
    generate = operations.get("generate")
    names = NOTE_OUTPUTS if generate is None else generate["outputs"]
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
