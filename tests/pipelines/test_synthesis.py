"""Sound measured: frequency, decay, silence, loudness, pedal, what a sample rate can hold."""

import importlib.util

import numpy as np
import pytest

from pipelines import synthesis
from pipelines.score import Score
from pipelines.score_arrays import NOTE, PEDAL, TEMPO

RATE = 8000
# A quarter of 1,000 ticks lasts a second, so that ticks are milliseconds.
SECONDS = np.array([(0, 1_000_000)], TEMPO)


def score(*notes: tuple[int, int, int, int], is_drum: bool = False, **fields: object) -> Score:
    """A Score of (onset ms, duration ms, pitch, velocity)."""
    rows = [(*note, 0, 0, is_drum) for note in notes]
    return Score.from_unsorted(1000, np.array(rows, NOTE), tempi=SECONDS, **fields)


def additive(piece: Score) -> np.ndarray:
    return synthesis.additive_piano(piece, RATE)


def energy(sound: np.ndarray, first_second: float, last_second: float) -> float:
    """The root of the mean square between two times."""
    return float(np.sqrt(np.mean(sound[int(first_second * RATE) : int(last_second * RATE)] ** 2)))


def spectrum(sound: np.ndarray, rate: int = RATE) -> tuple[np.ndarray, np.ndarray]:
    """Hertz and magnitude, of a second and more, in a Hann window."""
    magnitude = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return np.fft.rfftfreq(len(sound), 1 / rate), magnitude


@pytest.mark.parametrize("pitch, hertz", [(69, 440.0), (60, 261.63), (45, 110.0), (93, 1760.0)])
def test_the_first_partial_is_the_strongest_and_has_the_frequency_of_the_pitch(pitch, hertz):
    sound = additive(score((0, 2000, pitch, 64)))
    frequency, magnitude = spectrum(sound[: 2 * RATE])
    assert frequency[magnitude.argmax()] == pytest.approx(hertz, abs=0.6)  # Half a second's bin.


def test_higher_partials_are_sharp_by_the_stiffness_of_the_string():
    frequency, magnitude = spectrum(additive(score((0, 4000, 69, 64)))[: 4 * RATE])
    # B = 1e-4 * 2^((69 - 48) / 9) = 5.04e-4; partial 4: 1760 * sqrt((1 + 16 B) / (1 + B)).
    near = (frequency > 1700) & (frequency < 1850)
    assert frequency[near][magnitude[near].argmax()] == pytest.approx(1766.6, abs=0.5)


def test_a_held_note_dies_away_high_ones_sooner():
    low, high = (additive(score((0, 3000, pitch, 64))) for pitch in (45, 93))
    ratios = [energy(sound, 2, 2.2) / energy(sound, 0.1, 0.3) for sound in (low, high)]
    assert ratios[1] < ratios[0] / 5
    # A6's first partial loses 60 dB in 20 / 2^(72 / 20) = 1.65 s: silence, faded, not cut.
    assert energy(high, 2, 2.2) == 0
    assert 0.05 < ratios[0] < 0.8


def test_a_note_ends_in_silence_after_its_release():
    sound = additive(score((0, 500, 60, 100), (2000, 100, 60, 100)))
    assert energy(sound, 0.4, 0.5) > 0.05
    assert energy(sound, 0.5, 0.58) > 0
    assert not sound[int((0.5 + synthesis.RELEASE_SECONDS) * RATE) + 1 : 2 * RATE].any()
    assert len(sound) == round((2.1 + synthesis.RELEASE_SECONDS) * RATE)
    jumps = np.abs(np.diff(sound))
    held, ending = jumps[int(0.4 * RATE) : RATE // 2], jumps[RATE // 2 : RATE]
    assert ending.max() <= held.max()  # No click.


def test_loudness_grows_as_the_square_of_velocity():
    loud = [energy(additive(score((0, 1000, 60, v))), 0, 0.2) for v in (32, 64, 127)]
    assert loud[0] < loud[1] < loud[2]
    # 20 log10((127 / 64)^2) = 11.9 dB, give or take what brighter partials lose sooner.
    assert 20 * np.log10(loud[2] / loud[1]) == pytest.approx(11.9, abs=1.5)
    assert loud[2] == pytest.approx(np.sqrt(0.5), rel=0.3)  # A sine of amplitude 1.


def test_a_loud_note_is_brighter():
    def share_above(velocity: int) -> float:
        frequency, magnitude = spectrum(additive(score((0, 1000, 48, velocity)))[:RATE])
        return float((magnitude[frequency > 500] ** 2).sum() / (magnitude**2).sum())

    assert share_above(120) > 3 * share_above(30)


def test_the_sustain_pedal_keeps_a_note_that_is_let_go():
    pedal = np.array([(0, 64, 127, 0), (1500, 64, 0, 0)], PEDAL)
    dry = additive(score((0, 200, 60, 100), (1900, 100, 60, 100)))
    wet = additive(score((0, 200, 60, 100), (1900, 100, 60, 100), pedal=pedal))
    assert energy(dry, 1, 1.4) == 0
    assert energy(wet, 1, 1.4) > 0.02
    assert energy(wet, 1.6, 1.8) == 0


@pytest.mark.parametrize("rate", [4000, 8000, 16000])
def test_what_a_sample_rate_cannot_hold_is_left_out_and_nothing_comes_back_mirrored(rate):
    # C7 is 2,093 Hz: 4,000 samples a second hold none of it, 8,000 one partial, 16,000 three.
    sound = synthesis.additive_piano(score((0, 1000, 96, 127)), rate)
    if rate == 4000:
        assert not sound.any()
        return
    frequency, magnitude = spectrum(sound[:rate], rate)
    partials = [2093 * k * np.sqrt((1 + 4.03e-3 * k**2) / (1 + 4.03e-3)) for k in (1, 2, 3)]
    is_near = np.min([np.abs(frequency - p) for p in partials if p < rate / 2], axis=0) < 60
    assert (magnitude[~is_near] ** 2).sum() < 0.01 * (magnitude**2).sum()


def test_two_notes_sound_as_the_sum_of_each():
    first, second = (0, 800, 60, 80), (300, 700, 67, 90)
    both = additive(score(first, second))
    alone = [additive(score(note)) for note in (first, second)]
    total = np.zeros_like(both)
    for sound in alone:
        total[: len(sound)] += sound
    np.testing.assert_allclose(both, total, atol=1e-6)


def test_the_same_score_gives_the_same_samples_and_drums_and_nothing_give_silence():
    piece = score((0, 500, 60, 80), (100, 500, 64, 90))
    assert additive(piece).tobytes() == additive(piece).tobytes()
    for silent in (score(), score((0, 500, 40, 90), is_drum=True)):
        assert additive(silent).shape == (0,)


def test_every_pitch_velocity_and_length_gives_finite_sound():
    for rate in (4000, 16000):
        piece = score(*((pitch, 1 + pitch**2, pitch, 1 + pitch % 127) for pitch in range(128)))
        assert np.isfinite(synthesis.additive_piano(piece, rate)).all()


def test_what_begins_after_the_longest_sound_is_left_out():
    first, far = (0, 100, 60, 64), (synthesis.LONGEST_SECONDS * 1000, 100, 60, 64)
    assert len(additive(score(first, far))) == len(additive(score(first)))


def test_the_loudest_sample_is_nine_tenths_and_silence_stays():
    sound = np.array([0.1, -3.0, 2.0], np.float32)
    np.testing.assert_allclose(synthesis.normalized(sound), [0.03, -0.9, 0.6], rtol=1e-6)
    assert not synthesis.normalized(np.zeros(3, np.float32)).any()
    assert synthesis.normalized(np.zeros(0, np.float32)).shape == (0,)


def test_decimating_keeps_what_the_lower_rate_holds_and_removes_the_rest():
    time = np.arange(32_000) / 32_000
    low, high = (np.sin(2 * np.pi * hertz * time).astype(np.float32) for hertz in (1000, 5000))
    expected = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000)
    middle = slice(100, -100)  # The filter reaches over the ends.
    np.testing.assert_allclose(synthesis.decimated(low, 4)[middle], expected[middle], atol=0.01)
    assert np.abs(synthesis.decimated(high, 4)[middle]).max() < 1e-3
    assert len(synthesis.decimated(low[:-1], 4)) == 8000  # A last part of a period counts.


def test_a_soundfont_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"no soundfont 'none.sf2'; give --soundfont=FILE.sf2"):
        synthesis.fluidsynth(score((0, 100, 60, 64)), RATE, "none.sf2")


@pytest.mark.skipif(
    importlib.util.find_spec("fluidsynth") is not None, reason="pyfluidsynth is installed"
)
def test_without_the_extra_the_refusal_says_what_to_install(tmp_path):
    (tmp_path / "some.sf2").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match=r"needs pyfluidsynth .*--renderer=additive"):
        synthesis.fluidsynth(score((0, 100, 60, 64)), RATE, str(tmp_path / "some.sf2"))


def test_fluidsynth_plays_the_pitch_at_its_time_and_honours_the_pedal(soundfont):
    piece = score((500, 1000, 69, 100))
    sound = synthesis.fluidsynth(piece, RATE, soundfont)
    assert len(sound) == round((1.5 + synthesis.TAIL_SECONDS) * RATE)
    assert energy(sound, 0, 0.45) < 0.01 * energy(sound, 0.5, 1)
    frequency, magnitude = spectrum(sound[RATE // 2 : RATE * 3 // 2])
    peak = frequency[magnitude.argmax()]
    assert min(abs(peak - hertz) for hertz in (440, 880)) < 5  # Sampled pianos stretch octaves.
    again = synthesis.fluidsynth(piece, RATE, soundfont)
    np.testing.assert_array_equal(again, sound)
    pedal = np.array([(0, 64, 127, 0)], PEDAL)
    wet = synthesis.fluidsynth(score((0, 200, 60, 100), pedal=pedal), RATE, soundfont)
    dry = synthesis.fluidsynth(score((0, 200, 60, 100)), RATE, soundfont)
    assert energy(wet, 0.8, 1.1) > 5 * energy(dry, 0.8, 1.1)


def test_fluidsynth_turns_the_gain_down_rather_than_cut_off_the_sound(soundfont):
    loud = score(*((0, 1500, pitch, 127) for pitch in range(21, 109)))
    sound = synthesis.fluidsynth(loud, RATE, soundfont)
    assert 0.001 < np.abs(sound).max() < 1


@pytest.mark.usefixtures("soundfont")
def test_fluidsynth_refuses_a_file_that_is_no_soundfont(tmp_path):
    (tmp_path / "some.sf2").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match="is no soundfont that fluidsynth reads"):
        synthesis.fluidsynth(score((0, 100, 60, 64)), RATE, str(tmp_path / "some.sf2"))
