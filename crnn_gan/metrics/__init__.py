"""Statistics of a Score, one function each, and the table of all of them.

A tone is a note with a pitch: drums have none.
"""

from __future__ import annotations

import dataclasses

from crnn_gan.metrics.documented import Documented
from crnn_gan.metrics.expression import (
    mean_velocity,
    most_common_velocity_share,
    pedal_changes_per_second,
    pedal_share,
    velocity_standard_deviation,
)
from crnn_gan.metrics.extent import intensity_span, tone_span, unique_tones
from crnn_gan.metrics.pitch import (
    key_clarity,
    key_obedience,
    mean_pitch,
    mean_pitch_interval,
    pitch_class_entropy,
    pitch_classes_used,
    pitch_entropy,
)
from crnn_gan.metrics.polyphony import polyphony
from crnn_gan.metrics.repetition import repetitions
from crnn_gan.metrics.rhythm import (
    empty_beat_rate,
    empty_measure_rate,
    groove_consistency,
    mean_inter_onset_interval,
    mean_note_length,
    note_count,
    notes_per_quarter,
    notes_per_second,
    onsets_on_sixteenths,
)
from crnn_gan.metrics.scale import scale_consistency
from crnn_gan.metrics.texture import mean_polyphony, polyphony_rate
from pipelines.score import Score

THE_PAPERS = "the paper's"  # Group: those that C-RNN-GAN's paper and its reference code compute.


@dataclasses.dataclass(frozen=True)
class Statistic(Documented):
    """A statistic of a piece, one number.

    Attributes:
      function: Score -> float, finite for every Score. Those of the paper take `as_coded` too.
      group: "the paper's", "pitch", "rhythm", "texture", "expression".
      unit: unit in words, "" where it has none.
      edition: 1 of the statistics that figures of sets (recall, Fréchet distance and others) are
        over, so that they stay comparable; 2 of those that were added since. The same figures over
        all statistics stand beside them.
    """

    group: str
    unit: str = ""
    edition: int = 1


STATISTICS: tuple[Statistic, ...] = (  # In the order of every row, table and chart.
    Statistic(polyphony, THE_PAPERS, "share"),
    Statistic(scale_consistency, THE_PAPERS, "share"),
    Statistic(repetitions, THE_PAPERS, "pairs"),
    Statistic(tone_span, THE_PAPERS, "semitones"),
    Statistic(unique_tones, THE_PAPERS, "pitches"),
    Statistic(intensity_span, THE_PAPERS, "velocity"),
    Statistic(pitch_classes_used, "pitch", "pitch classes"),
    Statistic(pitch_entropy, "pitch", "bits"),
    Statistic(pitch_class_entropy, "pitch", "bits"),
    Statistic(mean_pitch, "pitch", "MIDI key number"),
    Statistic(mean_pitch_interval, "pitch", "semitones"),
    Statistic(key_obedience, "pitch", "share"),
    Statistic(key_clarity, "pitch", "correlation"),
    Statistic(note_count, "rhythm", "tones"),
    Statistic(notes_per_second, "rhythm", "tones per second"),
    Statistic(notes_per_quarter, "rhythm", "tones per quarter"),
    Statistic(mean_inter_onset_interval, "rhythm", "seconds"),
    Statistic(mean_note_length, "rhythm", "quarters"),
    Statistic(empty_beat_rate, "rhythm", "share"),
    Statistic(empty_measure_rate, "rhythm", "share"),
    Statistic(groove_consistency, "rhythm", "share"),
    Statistic(onsets_on_sixteenths, "rhythm", "share", edition=2),
    Statistic(mean_polyphony, "texture", "pitches"),
    Statistic(polyphony_rate, "texture", "share"),
    Statistic(mean_velocity, "expression", "velocity"),
    Statistic(velocity_standard_deviation, "expression", "velocity"),
    Statistic(most_common_velocity_share, "expression", "share", edition=2),
    Statistic(pedal_share, "expression", "share"),
    Statistic(pedal_changes_per_second, "expression", "changes per second"),
)


def statistics(score: Score, as_coded: bool = False) -> dict[str, float]:
    """Computes all statistics of a piece: {name: value}, in the order of `STATISTICS`.

    Args:
      score: any piece; all statistics of an empty one are 0.
      as_coded: compute the paper's statistics alone, as the reference code of C-RNN-GAN does,
        which differs from its paper.
    """
    if not as_coded:
        return {statistic.name: statistic.function(score) for statistic in STATISTICS}
    coded = [statistic for statistic in STATISTICS if statistic.group == THE_PAPERS]
    return {statistic.name: statistic.function(score, as_coded=True) for statistic in coded}
