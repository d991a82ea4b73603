"""measure: all statistics and figures of generated pieces, compared with real ones."""

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
from crnn_gan.evaluation.reference import NamedScore, Reference
from crnn_gan.evaluation.reference_windows import windows_of_notes, windows_of_steps
from crnn_gan.metrics import bands, histograms
from crnn_gan.metrics.distances import Overlap
from crnn_gan.metrics.repeated import repeated_pieces
from crnn_gan.originality.comparing import set_originality
from crnn_gan.originality.originality import SetOriginality
from crnn_gan.originality.reference_pieces import ReferencePieces

FEWEST_WINDOWS = 400  # Of real music, for bands; more where there are more generated pieces.
ALL_EQUAL = Overlap(None, None, "all values of both sets are equal")
FEW = 20  # Below so many pieces a note says that figures of sets are uncertain.


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
      originality: from `find_copies`; None where it was not measured.
      training: settings and curves of the run; None where there is no run.
      cards: {"model" or "data": Markdown}.
      seed: random seed of the places that real windows are cut from.

    Raises:
      ValueError: there is no generated or no real piece.
    """
    if not generated.pieces:
        raise ValueError(
            f"there is nothing to evaluate in {generated.name}{_all_left_out(generated.left_out)}"
        )
    if not reference.compared:
        raise ValueError(
            f"there is no real music in {reference.name} to compare with"
            f"{_all_left_out(reference.left_out)}"
        )
    count = len(generated.pieces)
    windows = cut(generated, reference.compared, max(FEWEST_WINDOWS, count), seed)
    baseline = cut(generated, reference.held_out, count, seed + 1)
    made, real, held_out = (Measured.of(set_) for set_ in (generated.pieces, windows, baseline))
    overlaps = figures.Overlaps.of(made, real)
    return Evaluation(
        title=generated.name,
        against=reference.against,
        generated=_facts(generated.name, generated.made, generated.pieces, generated.left_out),
        reference=_facts(
            reference.name, windows_made(generated, reference, windows), windows, reference.left_out
        ),
        pieces=tuple(_piece_rows(generated.pieces, made.statistics)),
        statistics=tuple(_statistic_rows(made.statistics, real.statistics, overlaps.statistics)),
        histograms=tuple(_histogram_rows(made.histograms, real.histograms, overlaps.histograms)),
        figures=figures.figures(made, real, held_out, overlaps, reference.against),
        repeated=repeated_pieces(made.scores),
        originality=originality,
        training=training,
        cards=cards or {},
        notes=(
            *generated.notes,
            *_notes(generated, windows, baseline),
            *_notes_of_windows(windows),
        ),
    )


def find_copies(generated: Generated, reference: Reference, seed: int = 0) -> SetOriginality:
    """Measures the originality of generated pieces against `reference.known`.

    Args:
      generated: any pieces.
      reference: real music; `known` has one piece or more.
      seed: random seed of the places that real windows are cut from.

    Raises:
      ValueError: `known` is empty.
    """
    names, known = zip(*reference.known, strict=True) if reference.known else ((), ())
    held_out = [piece.score for piece in reference.never_learned]
    scores = [piece.score for piece in generated.pieces]
    return set_originality(scores, ReferencePieces.of(names, known), held_out, seed)


def cut(
    generated: Generated, pieces: Sequence[NamedScore], count: int, seed: int
) -> list[NamedScore]:
    """Cuts windows of real music as long as the generated pieces, in steps, else in notes."""
    if generated.codec and generated.steps:
        return windows_of_steps(pieces, generated.codec, generated.steps, count, seed)
    notes = [len(piece.score.notes) for piece in generated.pieces]
    return windows_of_notes(pieces, notes, count, seed)


def windows_made(generated: Generated, reference: Reference, windows: Sequence[NamedScore]) -> str:
    """Describes how the real windows were cut."""
    length = (
        f"{generated.steps} steps, on the grid of the model's codec"
        if generated.codec and generated.steps
        else "as many notes as the generated pieces have"
    )
    taken = f"{_sources(windows)} of {len(reference.compared)}"
    anywhere = not (generated.codec and generated.steps) or generated.codec.starts_anywhere
    places = "at random places" if anywhere else "their beginnings"
    which = reference.compared_in_words
    return f"windows of {length}, from {which} of {reference.name} ({taken}, {places})"


def _sources(windows: Sequence[NamedScore]) -> int:
    """Number of pieces that the windows are from."""
    return len({window.name for window in windows})


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


def _statistic_rows(
    generated: np.ndarray, real: np.ndarray, overlaps: Sequence[Overlap]
) -> list[StatisticRow]:
    rows = []
    for column, (statistic, found) in enumerate(zip(metrics.STATISTICS, overlaps, strict=True)):
        values, real_values = generated[:, column], real[:, column]
        is_constant = np.ptp(np.concatenate([values, real_values])) == 0
        band = bands.band(real_values.tolist())
        rows.append(
            StatisticRow(
                name=statistic.name,
                group=statistic.group,
                edition=statistic.edition,
                unit=statistic.unit,
                description=statistic.description,
                generated=tuple(values.tolist()),
                real=tuple(real_values.tolist()),
                # Rounding may put the mean of equal values outside their range, and the band.
                mean=float(np.clip(values.mean(), values.min(), values.max())),
                band=band,
                inside=float(np.mean((values >= band.low) & (values <= band.high))),
                overlap=ALL_EQUAL if is_constant else found,
            )
        )
    return rows


def _histogram_rows(
    generated: Sequence[np.ndarray], real: Sequence[np.ndarray], overlaps: Sequence[Overlap]
) -> list[HistogramRow]:
    return [
        HistogramRow(
            name=histogram.name,
            description=histogram.description,
            shape=histogram.shape,
            bins=histogram.bins,
            generated=tuple(made.mean(axis=0).tolist()),
            real=tuple(known.mean(axis=0).tolist()),
            overlap=overlap,
        )
        for histogram, made, known, overlap in zip(
            histograms.HISTOGRAMS, generated, real, overlaps, strict=True
        )
    ]


def _all_left_out(lines: Sequence[str]) -> str:
    """Why there is no piece: how many were skipped, and the first with its reason."""
    return f": {len(lines)} skipped, the first is {lines[0]}" if lines else ""


def _notes(
    generated: Generated, windows: Sequence[NamedScore], baseline: Sequence[NamedScore]
) -> list[str]:
    """Caveats of the figures, in sentences."""
    notes = []
    for count, which, what in (
        (len(generated.pieces), "generated", ""),
        (_sources(windows), "real", " to compare with"),
        (_sources(baseline), "held-out real", " as a baseline"),
    ):
        if not count:
            notes.append(f"There is no {which} piece{what}.")
        elif count < FEW:
            few = f"is only 1 {which} piece" if count == 1 else f"are only {count} {which} pieces"
            notes.append(f"There {few}{what}: figures of sets are uncertain.")
    if not (generated.codec and generated.steps):
        notes.append(
            "Real windows have as many notes as the generated pieces, so note count is no evidence."
        )
    if not generated.codec:
        notes.append(
            "The grid of the generated pieces is unknown: statistics that depend on simultaneous "
            "onsets, such as polyphony, may differ for that reason alone."
        )
    empty = sum(not len(piece.score.notes) for piece in generated.pieces)
    if empty:
        have = "1 generated piece has" if empty == 1 else f"{empty} generated pieces have"
        notes.append(f"{have} no note; their statistics are those of silence.")
    if drums := _drums_alone(generated.pieces):
        notes.append(
            f"{drums} of {len(generated.pieces)} generated pieces have drums only, which no "
            "statistic counts: their values are those of silence."
        )
    return notes


def _notes_of_windows(windows: Sequence[NamedScore]) -> list[str]:
    """Caveats of the real windows, in sentences."""
    notes = []
    if drums := _drums_alone(windows):
        notes.append(
            f"{drums} of {len(windows)} real windows have drums only, which no statistic counts: "
            "their values are those of silence."
        )
    repeated = repeated_pieces([window.score for window in windows])
    if repeated > len(windows) / 2:
        notes.append(
            f"Of {len(windows)} real windows {repeated} repeat another, because the real pieces "
            "are few or short: the bands are narrow, and figures of sets are uncertain."
        )
    return notes


def _drums_alone(pieces: Sequence[NamedScore]) -> int:
    """Counts the pieces that have notes, none of them with a pitch."""
    found = [piece.score.notes["is_drum"] for piece in pieces if len(piece.score.notes)]
    return sum(bool(is_drum.all()) for is_drum in found)
