"""Random Scores for property tests, small and valid, with every kind of event."""

import numpy as np
from hypothesis import strategies as st

from pipelines.score import Score
from pipelines.score_arrays import KEY, METER, NOTE, PEDAL, TEMPO

ticks = st.integers(0, 2000)


def array_of(dtype, *columns, most):
    rows = st.lists(st.tuples(*columns), max_size=most)
    return rows.map(lambda given: np.array(given, dtype))


def scores(lowest=12, highest=115):
    """Any valid Score whose pitches lie in a range; by default none leaves MIDI by a tritone."""
    return st.builds(
        lambda resolution, notes, pedal, tempi, meters, keys: Score.from_unsorted(
            resolution, notes, pedal=pedal, tempi=tempi, meters=meters, keys=keys
        ),
        st.sampled_from([4, 96, 480]),
        array_of(
            NOTE,
            *(ticks, st.integers(1, 500), st.integers(lowest, highest), st.integers(1, 127)),
            *(st.integers(0, 3), st.integers(0, 12), st.booleans()),
            most=24,
        ),
        array_of(
            PEDAL, ticks, st.sampled_from([64, 66, 67]), st.integers(0, 127), st.just(0), most=6
        ),
        array_of(TEMPO, ticks, st.integers(100_000, 2_000_000), most=3),
        array_of(METER, ticks, st.integers(1, 12), st.sampled_from([2, 4, 8]), most=3),
        array_of(KEY, ticks, st.integers(-7, 7), st.booleans(), most=3),
    )
