"""measure: everything that is found about generated pieces beside real ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crnn_gan import metrics
from crnn_gan.evaluation import figures
from crnn_gan.evaluation.evaluation import (
    Evaluation,
    HistogramRow,
    PieceRow,
    SetFacts,
    StatisticRow,
    Training,
)
from crnn_gan.evaluation.generated import Generated
from crnn_gan.evaluation.measured import Measured
from crnn_gan.evaluation.reference import (
    NamedScore,
    Reference,
    windows_of_notes,
    windows_of_steps,
)
from crnn_gan.metrics import bands, histograms
from crnn_gan.metrics.distances import overlap
from crnn_gan.originality.comparing import set_originality
from crnn_gan.originality.known import Known
from crnn_gan.originality.originality import SetOriginality
from crnn_gan.originality.repeated import repeated_pieces

FEWEST_WINDOWS = 400  # Of real music, for bands; as many as generated pieces where those are more.
FEW = 20  # Below so many pieces, what is said of a set is uncertain; it says so.


def measure(
    generated: Generated,
    reference: Reference,
    originality: SetOriginality | None = None,
    training: Training | None = None,
    cards: dict[str, str] | None = None,
    seed: int = 0,
) -> Evaluation:
    """Compares generated pieces with real ones.

    Args:
      generated: one piece or more.
      reference: real music, one piece or more to compare with.
      originality: if it was looked for.
      training: what the run says of itself, if there is one.
      cards: {"model" or "data": Markdown}.
      seed: of the places that real windows are cut from.

    Raises:
      ValueError: there is no generated or no real piece.
    """
    if not generated.pieces:
        raise ValueError(f"there is nothing to evaluate in {generated.name}: no piece has notes")
    if not reference.compared:
        raise ValueError(f"there is no real music in {reference.name} to compare with")
    count = len(generated.pieces)
    windows = cut(generated, reference.compared, max(FEWEST_WINDOWS, count), seed)
    yardstick = cut(generated, reference.held_out, count, seed + 1)
    made, real, held_out = (Measured.of(set_) for set_ in (generated.pieces, windows, yardstick))
    return Evaluation(
        title=generated.name,
        generated=_facts(generated.name, generated.made, generated.pieces, generated.left_out),
        reference=_facts(
            reference.name, windows_made(generated, reference), windows, reference.left_out
        ),
        pieces=tuple(_piece_rows(generated.pieces, made.statistics)),
        statistics=tuple(_statistic_rows(made.statistics, real.statistics)),
        histograms=tuple(_histogram_rows(made.histograms, real.histograms)),
        figures=figures.figures(made, real, held_out),
        repeated=repeated_pieces(made.scores),
        originality=originality,
        training=training,
        cards=cards or {},
        notes=tuple(_notes(generated, reference)),
    )


def find_copies(generated: Generated, reference: Reference, seed: int = 0) -> SetOriginality:
    """Looks for the generated pieces in all that a model may have learned.

    Args:
      generated: any pieces.
      reference: real music; one known piece or more.
      seed: of the places that real windows are cut from.

    Raises:
      ValueError: there is no known piece.
    """
    names, known = zip(*reference.known, strict=True) if reference.known else ((), ())
    held_out = () if reference.knows_held_out else [p.score for p in reference.held_out]
    scores = [piece.score for piece in generated.pieces]
    return set_originality(scores, Known.of(names, known), held_out, seed)


def cut(
    generated: Generated, pieces: Sequence[NamedScore], count: int, seed: int
) -> list[NamedScore]:
    """Cuts windows of real music as long as the generated pieces: in steps, else in notes."""
    if generated.codec and generated.steps:
        return windows_of_steps(pieces, generated.codec, generated.steps, count, seed)
    notes = [len(piece.score.notes) for piece in generated.pieces]
    return windows_of_notes(pieces, notes, count, seed)


def windows_made(generated: Generated, reference: Reference) -> str:
    """Says how the real windows came about."""
    length = (
        f"{generated.steps} steps, on the grid of the model's codec"
        if generated.codec and generated.steps
        else "as many notes as the generated pieces have"
    )
    where = "half of the pieces" if reference.knows_held_out else "the training pieces"
    return f"windows of {length}, from {where} of {reference.name} ({len(reference.compared)})"


def _facts(
    name: str, made: str, pieces: Sequence[NamedScore], left_out: tuple[str, ...]
) -> SetFacts:
    notes = sum(len(piece.score.notes) for piece in pieces)
    seconds = sum(piece.score.length_seconds for piece in pieces)
    return SetFacts(name, made, len(pieces), notes, seconds, left_out)


def _piece_rows(pieces: Sequence[NamedScore], statistics: np.ndarray) -> list[PieceRow]:
    names = [statistic.name for statistic in metrics.STATISTICS]
    return [
        PieceRow(
            piece.name,
            len(piece.score.notes),
            piece.score.length_seconds,
            dict(zip(names, row.tolist(), strict=True)),
        )
        for piece, row in zip(pieces, statistics, strict=True)
    ]


def _statistic_rows(generated: np.ndarray, real: np.ndarray) -> list[StatisticRow]:
    rows = []
    for column, statistic in enumerate(metrics.STATISTICS):
        values, real_values = generated[:, column], real[:, column]
        band = bands.band(real_values.tolist())
        rows.append(
            StatisticRow(
                name=statistic.name,
                group=statistic.group,
                unit=statistic.unit,
                description=statistic.description,
                generated=tuple(values.tolist()),
                real=tuple(real_values.tolist()),
                mean=float(values.mean()),
                band=band,
                inside=float(np.mean((values >= band.low) & (values <= band.high))),
                overlap=overlap(values[:, None], real_values[:, None]),
            )
        )
    return rows


def _histogram_rows(
    generated: Sequence[np.ndarray], real: Sequence[np.ndarray]
) -> list[HistogramRow]:
    return [
        HistogramRow(
            name=histogram.name,
            description=histogram.description,
            shape=histogram.shape,
            bins=histogram.bins,
            generated=tuple(made.mean(axis=0).tolist()),
            real=tuple(known.mean(axis=0).tolist()),
            overlap=overlap(made, known),
        )
        for histogram, made, known in zip(histograms.HISTOGRAMS, generated, real, strict=True)
    ]


def _notes(generated: Generated, reference: Reference) -> list[str]:
    """What a reader has to know to trust the figures."""
    notes = []
    for count, what in (
        (len(generated.pieces), "generated pieces"),
        (len(reference.compared), "real pieces to compare with"),
        (len(reference.held_out), "held-out real pieces as yardstick"),
    ):
        if count < FEW:
            notes.append(f"There are only {count} {what}: figures of sets are uncertain.")
    if not generated.codec:
        notes.append(
            "Nobody knows on which grid the generated pieces lie: what depends on notes that "
            "start together, such as polyphony, may differ for that reason alone."
        )
    empty = sum(not len(piece.score.notes) for piece in generated.pieces)
    if empty:
        notes.append(f"{empty} generated pieces have no note; they count as they are.")
    return notes
