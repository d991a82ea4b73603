"""Pieces for the tests of statistics: written by hand, and drawn by hypothesis."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from pipelines.score import Score
from pipelines.score_arrays import METER, NOTE, PEDAL, TEMPO

EMPTY = Score(12, np.zeros(0, NOTE))


def played(*tones: tuple[int, int, int, int], is_drum: bool = False, **fields: Any) -> Score:
    """A Score of (onset, duration, pitch, velocity), 12 ticks a quarter: a tick is 1/24 s."""
    ticks_per_quarter = fields.pop("ticks_per_quarter", 12)
    return Score.from_unsorted(
        ticks_per_quarter, np.array([(*t, 0, 0, is_drum) for t in tones], NOTE), **fields
    )


def meters(*changes: tuple[int, int, int]) -> np.ndarray:
    """[event] of `METER`, of (tick, numerator, denominator)."""
    return np.array(list(changes), METER)


def pedal(*events: tuple[int, int]) -> np.ndarray:
    """[event] of `PEDAL`, of (tick, value) of the sustain pedal."""
    return np.array([(tick, 64, value, 0) for tick, value in events], PEDAL)


# Quarters:  0    1    2    3  |  4    5
#            C    G    -    -  |  C'   C'
#            E    E
FOUR_TONES = played((0, 12, 60, 64), (0, 24, 64, 64), (12, 12, 67, 80), (48, 24, 72, 48))
ONE_TONE = played((12, 12, 60, 64))  # From 1/2 s to 1 s.
DRUMS = played((0, 12, 35, 100), (12, 12, 38, 90), is_drum=True, pedal=pedal((0, 127)))


def sorted_events(dtype: np.dtype, *values: Any) -> Any:
    """A strategy for [event] of a dtype, at ticks 0..200."""
    event = st.tuples(st.integers(0, 200), *values)
    return st.lists(event, max_size=6).map(lambda e: np.array(sorted(e), dtype))


tone = st.tuples(  # onset, duration, pitch, velocity, track, program, is drum
    *(st.integers(0, 150), st.integers(1, 60), st.integers(30, 90), st.integers(1, 127)),
    *(st.integers(0, 2), st.just(0), st.booleans()),
)
scores = st.builds(
    Score.from_unsorted,
    ticks_per_quarter=st.sampled_from([1, 2, 5, 12, 24, 480]),
    notes=st.lists(tone, max_size=25).map(lambda tones: np.array(tones, NOTE)),
    pedal=sorted_events(PEDAL, st.sampled_from([64, 66, 67]), st.integers(0, 127), st.just(0)),
    tempi=sorted_events(TEMPO, st.integers(1, 2**24 - 1)),
    meters=sorted_events(
        METER,
        st.integers(1, 13),
        st.sampled_from([1, 2, 4, 8, 16, 64, 2**15]),
    ),
)
