"""Evaluates generated pieces beside real music, and writes a report that opens in any browser."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from crnn_gan.evaluation.evaluation import Evaluation
from crnn_gan.evaluation.generated import Generated, from_folder, from_sampler
from crnn_gan.evaluation.measuring import find_copies, measure
from crnn_gan.evaluation.reference import learned_from, read_reference, refuse_settings
from crnn_gan.evaluation.training_curves import read_training
from crnn_gan.generation.excerpt import Excerpt
from crnn_gan.generation.interface import Interface
from crnn_gan.generation.pieces import arguments, controls_of, gives_scores
from crnn_gan.metrics.bands import table
from crnn_gan.report.findings import REPORT, refuse_files, write_findings
from crnn_gan.report.words import left_out, sentences
from crnn_gan.runs.best import HELD_OUT_NATS
from crnn_gan.runs.configuration import CHECKPOINT_HELP, RunConfig
from crnn_gan.runs.run import card_of_run, interface_of_run, sampler_of_run
from crnn_gan.runs.tables import GENERATED, LOSSES_FILE
from pipelines.command_line import parse, peek, run_command
from pipelines.json_file import read_text
from pipelines.score import Score
from pipelines.settings import Settings, UsageError, flag

USAGE = """python -m crnn_gan.evaluate --run_dir=DIR | --saved_model=DIR | --midi_dir=DIR
    --reference=DATA_DIR_OR_FOLDER --out_dir=DIR [settings]

Says how close generated pieces are to real music, how varied they are and how much of them is
copied. Writes report.html, one page with pictures and sound that needs no network, metrics.json
with all figures, and a piano roll of each piece that the page shows.
A run or an exported model is sampled first; what else may be set then, --help lists."""


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """What to evaluate, beside what, and where the findings go."""

    run_dir: str = flag("", "directory of a run, as python -m crnn_gan.train made it")
    saved_model: str = flag("", "directory of an exported model")
    midi_dir: str = flag("", "folder of generated music files")
    checkpoint: str = flag("newest", CHECKPOINT_HELP)
    reference: str = flag(
        "",
        "real music: prepared data, or a folder of music files; of a run by default the data it "
        "was trained on",
    )
    composer: tuple[str, ...] = flag(
        (),
        "composers of prepared data, separated by commas; of a run by default those it trained on",
    )
    against: Literal["training", "held_out"] = flag(
        "training",
        "which real pieces windows are taken of: training pieces, which a model that memorises "
        "them recalls, or one half of the held-out pieces, the other half being the baseline",
    )
    out_dir: str = flag(help="directory for the findings; made if it is missing")
    seed: int = flag(
        0, "seed of the first sampled piece, and of where real windows are cut", at_least=0
    )
    shown: int = flag(50, "pieces that the report shows and plots, the first ones", at_least=0)
    originality: bool = flag(True, "look for copies of the reference")


@dataclasses.dataclass(frozen=True)
class Sampling(Settings):
    """How many pieces to sample, and how long."""

    count: int = flag(100, "pieces to sample")
    length: int | None = flag(None, "steps of a piece; by default as many as in training")
    excerpt: str = flag(
        "",
        "FIRST:LAST, steps of each piece that alone are measured, beside real windows of as many; "
        "225:256 are 32 steps, 1 is the first; of runs only; by default all",
    )


def main(argv: list[str]) -> None:
    """Evaluates by a command line, and prints what was found."""
    evaluation, _ = evaluated(argv)
    said = [*sentences(evaluation), *left_out(evaluation), *evaluation.notes]
    print("\n".join(said), end="\n\n")
    real = {row.name: row.band for row in evaluation.statistics}
    print(table([piece.statistics for piece in evaluation.pieces], real), end="\n\n")
    print(f"report: {Path(peek(argv, 'out_dir', '')) / REPORT}")


def evaluated(argv: Sequence[str]) -> tuple[Evaluation, list[Score]]:
    """Evaluates by a command line, and writes the findings.

    Returns:
      What was found, and the generated pieces.

    Raises:
      ValueError: there is nothing to evaluate, or nothing to compare it with.
    """
    given = [name for name in ("run_dir", "saved_model", "midi_dir") if peek(argv, name, "")]
    if len(given) != 1:
        parse(argv, USAGE, Flags, Sampling)  # For --help, and so that a wrong flag is named first.
        raise UsageError("give one of --run_dir, --saved_model and --midi_dir")
    interface = _interface(given[0], Path(peek(argv, given[0], "")))
    classes = [] if interface is None else [Sampling, controls_of(interface)]
    flags, *settings = parse(argv, USAGE, Flags, *classes)
    if flags.checkpoint != "newest" and not flags.run_dir:
        raise UsageError("--checkpoint is of a run: give it with --run_dir")
    reference_dir, composer, works_per_composer = _reference_dir(flags)
    refuse_settings(reference_dir, composer, flags.against)
    refuse_files(Path(flags.out_dir))
    values: dict[str, Any] = {}
    excerpt = None
    if interface:
        sampling, controls = map(dataclasses.asdict, settings)
        values = arguments({**sampling, "seed": flags.seed}, controls, interface)
        excerpt = _excerpt(flags, sampling["excerpt"], values["length"])
    generated, card, epoch = _generated(flags, values, excerpt)
    reference = read_reference(
        reference_dir, composer, generated.codec, works_per_composer, flags.against
    )
    evaluation = measure(
        generated,
        reference,
        find_copies(generated, reference, flags.seed) if flags.originality else None,
        read_training(Path(flags.run_dir), epoch) if flags.run_dir else None,
        {name: text for name, text in (("model", card), ("data", reference.card)) if text},
        flags.seed,
    )
    scores = [piece.score for piece in generated.pieces]
    write_findings(evaluation, scores, Path(flags.out_dir), flags.shown)
    return evaluation, scores


def _reference_dir(flags: Flags) -> tuple[Path, tuple[str, ...], int | None]:
    """Where the real music is, which composers of it are taken, and how many works of each.

    Raises:
      ValueError: nobody says, or it is not there.
    """
    if flags.reference:
        return Path(flags.reference), flags.composer, None
    if not flags.run_dir:
        raise UsageError("give --reference: prepared data, or a folder of real music")
    data_dir, composer, works_per_composer = learned_from(Path(flags.run_dir))
    return data_dir, flags.composer or composer, works_per_composer


def _interface(kind: str, path: Path) -> Interface | None:
    """What the model takes; None of a folder, which is not sampled.

    Raises:
      ValueError: it gives no notes, or it is no model.
    """
    if kind == "midi_dir":
        return None
    interface = interface_of_run(path) if kind == "run_dir" else Interface.read(path)
    if not gives_scores(interface):
        raise UsageError(
            f"{path} gives {interface.file.suffix} files, from which no notes come back to compare "
            "with real music; what says how good such a model is, is the likelihood of held-out "
            f"music: training prints it ({HELD_OUT_NATS}), and keeps it in {GENERATED}/"
            f"{LOSSES_FILE} of the run"
        )
    return interface


def _excerpt(flags: Flags, text: str, length: int) -> Excerpt | None:
    """The steps of each piece that are measured; None for all.

    Raises:
      UsageError: there are no such steps, or they cannot be told from the others.
    """
    if not text:
        return None
    if not flags.run_dir:
        raise UsageError(
            "--excerpt is of a run: an exported model gives notes, which do not say where a step "
            "begins; give the run that it was exported from as --run_dir"
        )
    codec = RunConfig.read(Path(flags.run_dir)).build_codec().require_scores()
    if not codec.starts_anywhere:
        raise UsageError(
            f"--excerpt is given, but a part of what the codec {codec.name} encodes is no music of "
            "its own; leave it away"
        )
    return Excerpt.parse(text, length)


def _generated(
    flags: Flags, values: dict[str, Any], excerpt: Excerpt | None
) -> tuple[Generated, str, int | None]:
    """The pieces, the model's card, "" where there is none, and the epoch of a run's weights."""
    if flags.midi_dir:
        return from_folder(Path(flags.midi_dir)), "", None
    path = Path(flags.run_dir or flags.saved_model)
    name = path.resolve().name
    if flags.run_dir:
        run, sampler = sampler_of_run(path, flags.checkpoint, excerpt)
        card = card_of_run(name, path, run, sampler)
        model = f"{run.config.model} after epoch {run.epoch} ({run.chosen})"
        codec = run.codec.require_scores()
        generated = from_sampler(sampler, values, name, model, codec, excerpt)
        title = f"{run.config.model} {name}"
        return dataclasses.replace(generated, name=title), card, run.epoch
    codec = RunConfig.read(path).build_codec().require_scores()
    card = read_text(path / "card.md")
    from crnn_gan.generation import saved_model

    return from_sampler(saved_model.load(path), values, name, name, codec), card, None


def run() -> int:
    """Runs the command; gives its exit status."""

    def kept(argv: list[str]) -> str:
        return f"{peek(argv, 'out_dir', '')} gets its report last, when all is measured"

    return run_command(main, kept)


if __name__ == "__main__":
    sys.exit(run())
