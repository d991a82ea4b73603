"""Samples a trained run or an exported model: one MIDI file a piece."""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from crnn_gan.configuration import CHECKPOINT_HELP
from crnn_gan.rendering.rendering import RenderFlags, account, render
from crnn_gan.signatures.interface import Interface
from pipelines.atomic_file import write_atomically
from pipelines.codecs.codec import codec_from_json, note_codec
from pipelines.command_line import UsageError, flag, parse, peek, run_command
from pipelines.formats import midi

if TYPE_CHECKING:  # TensorFlow is slow to import, and a wrong flag needs no TensorFlow.
    from crnn_gan.primer import Primer
    from crnn_gan.signatures.saved_model import Sampler

USAGE = """python -m crnn_gan.sample --run_dir=DIR | --saved_model=DIR --out_dir=DIR [settings]

Writes NAME-SEED.mid for each piece, and beside it what --render names; the same seed gives
the same file, from the run directory and from the exported model alike. Always on TensorFlow,
whatever backend the run was trained on; an exported model needs TensorFlow only. What else
may be set depends on the model: with --run_dir or --saved_model, --help lists it."""

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
    out_dir: str = flag(help="directory for the MIDI files; made if it is missing")
    primer: str = flag(
        "",
        "a music file that each piece goes on from; what comes after it is written by itself, too, "
        "as NAME-SEED-continuation.mid, and --length counts that alone",
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
class Piece:
    """A piece that was written: its file, its notes, the seconds that it lasts, what is said."""

    path: Path
    notes: int
    seconds: float
    remark: str = ""


@dataclasses.dataclass(frozen=True)
class Sampled:
    """A piece in memory: its seed, MIDI file, notes, the seconds that it lasts, what is said.

    Of one that goes on from a primer, `primer_ticks` are those of the primer.
    """

    seed: int
    midi_bytes: bytes
    notes: int
    seconds: float
    remark: str = ""
    primer_ticks: int = 0


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
        remark = f"; {piece.remark}" if piece.remark else ""
        print(f"{piece.path}: {piece.notes} notes, {piece.seconds:.1f} s{remark}", flush=True)
        if rendering.render:
            stem = piece.path.with_suffix("")
            rendered.append(render(midi.read_score(piece.path), stem, rendering))
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
    from crnn_gan.originality import while_sampling

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
    from crnn_gan.primer import read_primer

    path = Path(flags.run_dir or flags.saved_model) / "config.json"
    codec = codec_from_json(json.loads(path.read_text(encoding="utf-8"))["codec"])
    return read_primer(Path(flags.primer), note_codec(codec), flags.primer_steps)


def controls_of(interface: Interface) -> type:
    """Makes the flag dataclass of what the model lets a caller set."""
    fields = [
        (
            name,
            float if argument.dtype == "float32" else int,
            flag(argument.default, f"{argument.help}, {argument.low:g} to {argument.high:g}"),
        )
        for name, argument in interface.arguments.items()
        if name not in ("seed", "count", "length")
    ]
    cls = dataclasses.make_dataclass("Controls", fields, frozen=True)
    cls.__doc__ = "What the model lets you set."
    return cls


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
    values: dict[str, Any] = {name: wanted[name] for name in ("seed", "count")} | dict(controls)
    default = interface.arguments["length"].default
    values["length"] = default if wanted["length"] is None else wanted["length"]
    interface.refuse(values)
    interface.refuse({"seed": values["seed"] + values["count"] - 1})  # That of the last piece.
    return values


def load(exported: Path) -> Sampler:
    """Loads an exported model. Needs TensorFlow only; see `saved_model.load`."""
    from crnn_gan.signatures import saved_model

    return saved_model.load(exported)


def interface_of_run(run_dir: Path) -> Interface:
    """Gives what a run's model takes, before the model is built.

    Raises:
      ValueError: not a run directory.
    """
    from crnn_gan.configuration import RunConfig
    from crnn_gan.export import training_length, use_tensorflow

    config = RunConfig.read(run_dir)
    use_tensorflow()
    from crnn_gan.models.model import config_class, model_class

    cls = model_class(config.model)
    controls = cls.controls_for(config_class(config.model)(**config.config), config.spec)
    return Interface.of(controls, config.build_codec(), training_length(config), cls.continues)


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
    """Makes pieces and writes `out_dir/name-seed.mid` for each, whole or not at all.

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
        path = out_dir / f"{name}-{made.seed}.mid"
        write_atomically(path, made.midi_bytes)
        if made.primer_ticks:
            score = midi.read_score(made.midi_bytes)
            last = max(made.primer_ticks, int(score.end_ticks.max(initial=0))) + 1
            later = score.crop(made.primer_ticks, last)
            midi.write(later, out_dir / f"{name}-{made.seed}-continuation.mid")
        yield Piece(path, made.notes, made.seconds, made.remark)


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
        ends = (made["notes"][:, :, 0] + made["notes"][:, :, 1]).numpy().max(axis=1, initial=0)
        columns = (made["midi_bytes"].numpy(), made["note_count"].numpy(), ends)
        for row, (content, notes, end) in enumerate(zip(*columns, strict=True)):
            seconds = sampler.interface.seconds(int(end))
            ticks = primer.ticks if primer else 0
            yield Sampled(seed + row, content, int(notes), seconds, primer_ticks=ticks)


def run() -> int:
    """Runs the command; gives its exit status."""
    return run_command(main)


if __name__ == "__main__":
    sys.exit(run())
