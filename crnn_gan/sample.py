"""Samples a trained run or an exported model: a file a piece, MIDI, ABC or WAV."""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from crnn_gan.generation.interface import Argument, Interface
from crnn_gan.rendering.rendering import RenderFlags, account, render
from crnn_gan.runs.configuration import CHECKPOINT_HELP
from pipelines.atomic_file import write_atomically
from pipelines.codecs.codec import codec_from_json
from pipelines.command_line import UsageError, flag, parse, peek, run_command
from pipelines.formats import abc_notation, midi, wav
from pipelines.score import Score

if TYPE_CHECKING:  # TensorFlow is slow to import, and a wrong flag needs no TensorFlow.
    from crnn_gan.generation.primer import Primer
    from crnn_gan.generation.saved_model import Sampler

USAGE = """python -m crnn_gan.sample --run_dir=DIR | --saved_model=DIR --out_dir=DIR [settings]

Writes NAME-SEED.mid for each piece, and beside it what --render names; a model of ABC writes
NAME-SEED.abc and, where notes can be read of it, NAME-SEED.mid; a model of sound NAME-SEED.wav.
The same seed gives the same file, from the run directory and from the exported model alike.
Always on TensorFlow, whatever backend the run was trained on; an exported model needs TensorFlow
only. What else may be set depends on the model: with --run_dir or --saved_model, --help lists
it."""

STEPS_AT_ONCE = 2**17  # Of all pieces of a batch: bounds the memory of a long command.


@dataclasses.dataclass(frozen=True)
class Flags:
    """What to make, and where it goes."""

    run_dir: str = flag("", "directory of a run, as python -m crnn_gan.train made it")
    saved_model: str = flag("", "directory of an exported model")
    checkpoint: str = flag("newest", CHECKPOINT_HELP)
    count: int = flag(8, "pieces to make")
    length: int | None = flag(None, "steps of a piece; by default as many as in training")
    seed: int = flag(0, "seed of the first piece; the next piece has the next seed")
    out_dir: str = flag(help="directory for the files; made if it is missing")
    primer: str = flag(
        "",
        "a music file that each piece goes on from, or a text (.txt) for a model of ABC, or a WAV "
        "file for one of sound; what comes after it is written by itself, too, as "
        "NAME-SEED-continuation.mid (of sound .wav), and --length counts that alone",
    )
    primer_steps: int = flag(0, "takes so many steps of the primer, from its beginning; 0: all")
    originality: Literal["off", "warn", "resample"] = flag(
        "off",
        "warn says of each piece whether it is copied; resample draws further seeds until as many "
        "pieces as asked for are original",
    )
    reference: str = flag(
        "",
        "prepared data or folder of music that --originality looks in; by default the data that "
        "the run was trained on",
    )


@dataclasses.dataclass(frozen=True)
class Sampled:
    """A piece in memory.

    Attributes:
      seed: of the piece.
      files: {end of their names: content}; first the one that the model gives.
      notes: how many it has; None of sound.
      seconds: that it lasts.
      remark: what is said of it.
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


def main(argv: list[str]) -> None:
    """Samples as the command line says, and prints a line a piece."""
    run_dir, exported = peek(argv, "run_dir", ""), peek(argv, "saved_model", "")
    if bool(run_dir) == bool(exported):
        # For --help, and so that a wrong flag is named first.
        parse(argv, USAGE, Flags, RenderFlags)
        raise UsageError("give either --run_dir or --saved_model")
    interface = Interface.read(Path(exported)) if exported else interface_of_run(Path(run_dir))
    flags, rendering, controls = parse(argv, USAGE, Flags, RenderFlags, controls_of(interface))
    rendering.require_possible()
    if rendering.render and not gives_scores(interface):
        raise UsageError(
            f"--render={','.join(rendering.render)} makes files of notes, and this model gives "
            f"{interface.file.suffix} files, from which no notes come back; leave --render out"
        )
    if exported and flags.checkpoint != "newest":
        raise UsageError(
            "an exported model has one set of weights: give --checkpoint with --run_dir, or to "
            "python -m crnn_gan.export"
        )
    values = arguments(dataclasses.asdict(flags), dataclasses.asdict(controls), interface)
    with_originality = originality_of(flags)
    primer = primer_of(flags, interface)
    sampler = load(Path(exported)) if exported else sampler_of_run(Path(run_dir), flags.checkpoint)
    name = Path(exported or run_dir).resolve().name
    make = with_originality(functools.partial(sampled, sampler, primer=primer))
    rendered = []
    for piece in sample(make, values, Path(flags.out_dir), name):
        print(f"{piece.path}: {piece.made}", flush=True)
        if rendering.render:
            rendered.append(render(piece.made.read(), piece.path.with_suffix(""), rendering))
    for line in account(rendered):
        print(line)


def originality_of(flags: Flags) -> Callable[[Make], Make]:
    """Gives what makes pieces that are looked for in known music, as the flags ask.

    Raises:
      ValueError: nobody says where that music is, or it is not there.
    """
    if flags.originality == "off":
        if flags.reference:
            raise UsageError("--reference is where --originality=warn or resample looks")
        return lambda make: make
    if flags.saved_model and not flags.reference:
        raise UsageError("--originality with --saved_model needs --reference: data, or a folder")
    from crnn_gan.evaluation import while_sampling

    folder = Path(flags.run_dir or flags.saved_model)
    return while_sampling.with_originality(folder, flags.reference, flags.originality)


def primer_of(flags: Flags, interface: Interface) -> Primer | None:
    """Reads the primer that the flags name, as the model's codec encodes it.

    Raises:
      ValueError: the model cannot go on from one, or it cannot be taken; see `read_primer`.
    """
    if flags.primer_steps < 0 or (flags.primer_steps and not flags.primer):
        raise UsageError("--primer_steps is how many steps of --primer are taken, 0 for all")
    if not flags.primer:
        return None
    if not interface.continues:
        raise UsageError("this model cannot go on from a primer: leave --primer out")
    from crnn_gan.generation.primer import read_primer

    path = Path(flags.run_dir or flags.saved_model) / "config.json"
    codec = codec_from_json(json.loads(path.read_text(encoding="utf-8"))["codec"])
    return read_primer(Path(flags.primer), codec, flags.primer_steps)


def gives_scores(interface: Interface) -> bool:
    """Whether notes come back from the files that a model gives."""
    return interface.file.output != "wav_bytes"


def controls_of(interface: Interface) -> type:
    """Makes the flag dataclass of what the model lets a caller set."""
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
      ValueError: a value is out of its range.
    """
    values: dict[str, Any] = {name: wanted[name] for name in ("seed", "count")}
    values |= {name: _numbers(name, value) for name, value in controls.items()}
    default = interface.arguments["length"].default
    values["length"] = default if wanted["length"] is None else wanted["length"]
    interface.refuse(values)
    interface.refuse({"seed": values["seed"] + values["count"] - 1})  # That of the last piece.
    return values


def load(exported: Path) -> Sampler:
    """Loads an exported model. Needs TensorFlow only; see `saved_model.load`."""
    from crnn_gan.generation import saved_model

    return saved_model.load(exported)


def interface_of_run(run_dir: Path) -> Interface:
    """Gives what a run's model takes, before the model is built.

    Raises:
      ValueError: not a run directory.
    """
    from crnn_gan.export import use_tensorflow
    from crnn_gan.runs.configuration import RunConfig

    config = RunConfig.read(run_dir)
    use_tensorflow()
    from crnn_gan.music_model import config_class, model_class

    cls = model_class(config.model)
    settings = config_class(config.model)(**config.config)
    controls = cls.controls_for(settings, config.spec)
    length = cls.piece_steps_for(settings, config.spec)
    return Interface.of(controls, config.build_codec(), length, cls.continues)


def sampler_of_run(run_dir: Path, checkpoint: str = "newest") -> Sampler:
    """Gives a sampler of a run with the weights of a checkpoint.

    Args:
      run_dir: of the run.
      checkpoint: "newest", "best" or an epoch; see `checkpoint.restore_weights`.

    Raises:
      ValueError: not a run directory, or one without such a checkpoint.
    """
    from crnn_gan.export import build_from_run

    return build_from_run(run_dir, checkpoint)[1]


def sample(make: Make, values: Mapping[str, Any], out_dir: Path, name: str) -> Iterator[Piece]:
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
    """
    steps = values["length"] + (len(primer.array) if primer else 0)
    at_once = max(16, STEPS_AT_ONCE // steps)  # Rows are made 16 at a time anyway.
    for first in range(0, values["count"], at_once):
        seed, count = values["seed"] + first, min(at_once, values["count"] - first)
        asked = {**values, "seed": seed, "count": count}
        if primer:
            made = sampler.continue_primer(primer.array, **asked)
        else:
            made = sampler.generate(**asked)
        rows = {name: value.numpy() for name, value in made.items()}
        understand = _UNDERSTAND[sampler.interface.file.output]
        for row in range(count):
            one = {name: values[row] for name, values in rows.items()}
            yield understand(seed + row, one, sampler.interface, primer)


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
    reading = abc_notation.read_tune(made["text"].decode(), goes_on=True)
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


def run() -> int:
    """Runs the command; gives its exit status."""
    return run_command(main)


if __name__ == "__main__":
    sys.exit(run())
