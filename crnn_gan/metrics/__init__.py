"""Statistics of a Score, one function each, and the row of them that is used everywhere."""

from __future__ import annotations

from crnn_gan.metrics.extent import intensity_span, tone_span, unique_tones
from crnn_gan.metrics.polyphony import polyphony
from crnn_gan.metrics.repetition import repetitions
from crnn_gan.metrics.scale import scale_consistency
from pipelines.score import Score

STATISTICS = (  # In the order of every row, table and chart.
    polyphony,
    scale_consistency,
    repetitions,
    tone_span,
    unique_tones,
    intensity_span,
)


def statistics(score: Score, as_coded: bool = False) -> dict[str, float]:
    """Gives the row of statistics of a piece: {name: value}, in the order of `STATISTICS`.

    Args:
      score: any piece; an empty one has 0 everywhere, none ever has NaN.
      as_coded: what the reference code of C-RNN-GAN computes, not what its paper says.
    """
    return {function.__name__: function(score, as_coded=as_coded) for function in STATISTICS}
