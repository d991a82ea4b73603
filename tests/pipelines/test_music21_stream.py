"""Tests of pipelines/formats/music21_stream.py."""

import fractions

import music21

from pipelines.formats.music21_stream import score_of_stream


def stream_of(*elements):
    part = music21.stream.Part()
    for offset, element in elements:
        part.insert(offset, element)
    score = music21.stream.Score()
    score.insert(0, part)
    return score


def note(name, quarters, tie=None):
    made = music21.note.Note(name, quarterLength=quarters)
    made.tie = tie and music21.tie.Tie(tie)
    return made


def rows(score):
    return score.notes[["onset", "duration", "pitch", "velocity"]].tolist()


def test_tied_notes_are_one_also_inside_chords():
    chord = music21.chord.Chord([note("C4", 2, "stop"), note("E4", 2)])
    tied = stream_of((0, note("C4", 1, "start")), (1, note("C4", 1, "continue")), (2, chord))
    score = score_of_stream(tied)
    assert rows(score) == [(0, 4 * 480, 60, 72), (2 * 480, 2 * 480, 64, 72)]


def test_a_tie_to_nowhere_leaves_the_note_as_it_is():
    score = score_of_stream(stream_of((0, note("C4", 1, "start")), (2, note("C4", 1))))
    assert rows(score) == [(0, 480, 60, 72), (960, 480, 60, 72)]


def test_triplets_quintuplets_and_64ths_are_exact_and_septuplets_raise_the_resolution():
    third, fifth = fractions.Fraction(1, 3), fractions.Fraction(1, 5)
    exact = stream_of((0, note("C4", third)), (third, note("D4", fifth)), (1, note("E4", 1 / 16)))
    assert rows(score_of_stream(exact)) == [
        (0, 160, 60, 72),
        (160, 96, 62, 72),
        (480, 30, 64, 72),
    ]
    seventh = fractions.Fraction(1, 7)
    score = score_of_stream(stream_of((seventh, note("C4", seventh))))
    assert score.ticks_per_quarter == 480 * 7
    assert rows(score) == [(480, 480, 60, 72)]


def test_grace_notes_chord_symbols_and_unpitched_notes_are_left_out():
    score = score_of_stream(
        stream_of(
            (0, note("D4", 1).getGrace()),
            (0, note("C4", 1)),
            (0, music21.harmony.ChordSymbol("G7")),
            (1, music21.note.Unpitched()),
        )
    )
    assert rows(score) == [(0, 480, 60, 72)]


def test_dynamics_last_until_the_next_one_and_accents_do_not():
    score = score_of_stream(
        stream_of(
            (0, note("C4", 1)),
            (1, music21.dynamics.Dynamic("p")),
            (1, note("C4", 1)),
            (2, music21.dynamics.Dynamic("sf")),
            (2, note("C4", 1)),
            (3, music21.dynamics.Dynamic("ff")),
            (3, note("C4", 1)),
        )
    )
    assert score.notes["velocity"].tolist() == [72, 44, 44, 100]


def test_a_transposing_instrument_sounds_as_it_is_heard():
    clarinet = music21.instrument.Clarinet()  # In B flat: sounds two half tones lower.
    stream = stream_of((0, clarinet), (0, note("D4", 1)))
    stream.parts[0].atSoundingPitch = False
    assert rows(score_of_stream(stream)) == [(0, 480, 60, 72)]


def test_tempo_meter_and_key_are_kept_by_tick():
    score = score_of_stream(
        stream_of(
            (0, music21.meter.TimeSignature("3/4")),
            (0, music21.key.Key("d")),
            (0, music21.tempo.MetronomeMark(number=60)),
            (3, music21.tempo.MetronomeMark(number=120)),
            (0, note("D4", 6)),
        )
    )
    assert score.meters.tolist() == [(0, 3, 4)]
    assert score.keys.tolist() == [(0, -1, True)]
    assert score.tempi.tolist() == [(0, 1_000_000), (3 * 480, 500_000)]
