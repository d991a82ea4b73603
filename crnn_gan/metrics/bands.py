"""Bands: the range of each statistic in real music, its 5th to 95th percentile.

Repetitions, unique tones and both spans grow with the length of a piece: compute the bands over
real windows of as many tones as the generated pieces have, on the same grid (the same codec).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from crnn_gan.metrics import statistics
from pipelines.json_schema import SchemaError, value_of
from pipelines.score import Score

HEADER = ("statistic", "generated", "real", "real 5 % .. 95 %", "")


@dataclasses.dataclass(frozen=True)
class Band:
    """Distribution of one statistic over real windows, in its unit.

    Attributes:
      mean: the mean.
      low, median, high: the 5th, 50th and 95th percentile.
    """

    mean: float
    low: float
    median: float
    high: float


def bands(scores: Sequence[Score], as_coded: bool = False) -> dict[str, Band]:
    """Gives the band of each statistic over real windows, in the order of `statistics`.

    Raises:
      ValueError: there is no window.
    """
    if not scores:
        raise ValueError("bands are computed over real windows; none was given")
    rows = [statistics(score, as_coded) for score in scores]
    return {name: band([row[name] for row in rows]) for name in rows[0]}


def band(values: Sequence[float]) -> Band:
    """Gives the band of one statistic over real windows, one or more."""
    low, median, high = np.percentile(values, [5, 50, 95]).tolist()
    return Band(float(np.mean(values)), low, median, high)


def to_json(bands: Mapping[str, Band]) -> dict[str, dict[str, float]]:
    """Converts bands to plain JSON values, the content of a run's bands.json."""
    return {name: dataclasses.asdict(band) for name, band in bands.items()}


def from_json(values: object) -> dict[str, Band]:
    """Converts the values of `to_json` back.

    Raises:
      ValueError: they are not bands.
    """
    try:
        found: dict[str, Band] = value_of(dict[str, Band], values)
    except SchemaError as error:
        raise ValueError(f"not bands: {error}") from None
    for name, band in found.items():
        if not band.low <= band.median <= band.high:
            raise ValueError(
                f"not bands: {name} has low {band.low}, median {band.median}, high {band.high}; "
                "expected them in this order"
            )
    return found


def mean_statistics(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Averages each statistic over pieces.

    Args:
      rows: {name: value} of each piece.

    Raises:
      ValueError: there is no piece.
    """
    if not rows:
        raise ValueError("the mean of statistics needs pieces; none was given")
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def outside(
    statistics: Mapping[str, float], bands: Mapping[str, Band], factor: float = 1.0
) -> list[str]:
    """Describes the statistics that lie outside the band of real music.

    Args:
      statistics: {name: value}; names without a band are ignored.
      bands: the bands of real music.
      factor: widens the band to low / factor .. high * factor.

    Returns:
      One sentence per statistic, without a full stop, in the order of `statistics`.
    """
    sentences = []
    for name, value in statistics.items():
        band = bands.get(name)
        where = side(value, band, factor) if band else ""
        if band and where:
            far = "far " if factor > 1 else ""
            sentences.append(
                f"{in_words(name)} {number(value)} is {far}{where} real music's "
                f"{number(band.low)}..{number(band.high)}"
            )
    return sentences


def side(value: float, band: Band, factor: float = 1.0) -> str:
    """Gives "below" or "above" the band, widened by a factor; "" inside it."""
    if value < band.low / factor:
        return "below"
    return "above" if value > band.high * factor else ""


def table(rows: Sequence[Mapping[str, float]], bands: Mapping[str, Band]) -> str:
    """Compares the means of generated pieces with the bands, as aligned plain text.

    Args:
      rows: the statistics of each generated piece.
      bands: the bands of real music.

    Returns:
      A header line and one per statistic: generated mean, real mean, band, inside or not.

    Raises:
      ValueError: there is no row.
    """
    means = mean_statistics(rows)
    lines = [HEADER]
    for name, band in bands.items():
        where = side(means[name], band)
        span = f"{number(band.low)} .. {number(band.high)}"
        lines.append(
            (in_words(name), number(means[name]), number(band.mean), span, where or "inside")
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    return "\n".join(_aligned(line, widths).rstrip() for line in lines)


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    cells = [line[0].ljust(widths[0])]
    cells += [cell.rjust(width) for cell, width in zip(line[1:-1], widths[1:-1], strict=True)]
    return "  ".join([*cells, line[-1]])


def in_words(name: str) -> str:
    """Gives the name of a statistic with spaces for underscores."""
    return name.replace("_", " ")


def number(value: float) -> str:
    """Formats a number with about three significant digits: 0.71, 21.3, 107."""
    decimals = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
