"""Mode collapse of a generator, detected from the statistics of its pieces.

The commonest failure of adversarial training: the generator gives one piece, or one piece varied,
or next to no notes, whatever the noise. It is read off the rows of statistics that training writes,
so that a run can be looked at while it goes on, and after it. Needs no Keras.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crnn_gan.metrics.bands import Band
from crnn_gan.runs.tables import Row

REPEATED = 0.5  # Share of the pieces.
ALIKE = 0.5  # Share of the notes of two pieces; of chorales at sixteenths .04.
FEWER = 1.5  # Times fewer different keys than the 5th percentile of real windows.
DEFINITION = (
    "collapsed: after each of the last epochs, half of the pieces or more repeat another note for "
    "note, or two pieces share on average half of their notes or more, or they have on average "
    "less than two thirds of the different keys that nineteen of twenty real windows have"
)


def too_alike(row: Row) -> float:
    """Gives how alike an epoch's pieces are, 0..1, where that is a collapse; else 0."""
    return row.shared_notes if row.shared_notes and row.shared_notes >= ALIKE else 0.0


def collapse_of(row: Row, bands: Mapping[str, Band]) -> str:
    """Says in words how an epoch's pieces have collapsed; "" where they have not."""
    if row.pieces > 1 and row.repeated >= REPEATED * row.pieces:
        return f"{row.repeated} of {row.pieces} pieces repeat another"
    if alike := too_alike(row):
        return f"two pieces share {alike:.0%} of their notes"
    tones, band = row.statistics.get("unique_tones"), bands.get("unique_tones")
    if tones is not None and band is not None and tones < band.low / FEWER:
        return f"{tones:.3g} different keys where real music has {band.low:.3g} or more"
    return ""


def collapse_of_last(rows: Sequence[Row], bands: Mapping[str, Band], epochs: int) -> str:
    """Says how the last epochs' pieces have collapsed; "" where one of them has not.

    Args:
      rows: of a run, in order.
      bands: of real windows, as the run keeps them.
      epochs: how many have to; 1 or more.
    """
    last = rows[-epochs:]
    found = [collapse_of(row, bands) for row in last]
    return found[-1] if len(last) == epochs and all(found) else ""
