"""Samples a trained run or an exported model: a file per piece, MIDI, ABC or WAV."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from crnn_gan.generation.interface import Interface
from crnn_gan.generation.pieces import (
    Make,
    arguments,
    controls_of,
    gives_scores,
    sampled,
    write_pieces,
)
from crnn_gan.rendering.rendering import RenderFlags, account, render
from crnn_gan.runs.configuration import CHECKPOINT_HELP, RunConfig
from crnn_gan.runs.run import interface_of_run, sampler_of_run
from pipelines.command_line import parse, peek, run_command
from pipelines.settings import UsageError, flag

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


def main(argv: list[str]) -> None:
    """Samples by a command line, and prints a line per piece."""
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
    primer_steps = len(primer.array) if primer else 0
    interface.refuse_steps(values["length"], primer_steps)
    sampler = _sampler(flags)
    sampler.interface.refuse_steps(values["length"], primer_steps)  # That of a run says it now.
    name = Path(exported or run_dir).resolve().name
    make = with_originality(functools.partial(sampled, sampler, primer=primer))
    rendered = []
    for piece in write_pieces(make, values, Path(flags.out_dir), name):
        print(f"{piece.path}: {piece.made}", flush=True)
        if rendering.render:
            rendered.append(render(piece.made.read(), piece.path.with_suffix(""), rendering))
    for line in account(rendered):
        print(line)


def _sampler(flags: Flags) -> Sampler:
    if flags.run_dir:
        return sampler_of_run(Path(flags.run_dir), flags.checkpoint)[1]
    from crnn_gan.generation import saved_model

    return saved_model.load(Path(flags.saved_model))


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

    codec = RunConfig.read(Path(flags.run_dir or flags.saved_model)).build_codec()
    return read_primer(Path(flags.primer), codec, flags.primer_steps)


def run() -> int:
    """Runs the command; gives its exit status."""

    def kept(argv: list[str]) -> str:
        return f"the pieces that were written stay in {peek(argv, 'out_dir', '')}"

    return run_command(main, kept)


if __name__ == "__main__":
    sys.exit(run())
