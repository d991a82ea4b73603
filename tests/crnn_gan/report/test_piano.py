"""The piano of the page: its samples, asked for pitch, loudness, brightness and pedal."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from visit import BEGIN_SECONDS, Visit

RATE = 22050  # Samples a second of what is rendered.


@pytest.fixture(scope="module")
def studio(browser, report) -> Iterator[Visit]:
    """A page whose piano is only rendered."""
    opened = Visit(browser, report)
    yield opened
    opened.context.close()
    assert opened.said == []


def render(studio: Visit, seconds: float, notes: list[int], pedal: list[int] | None = None) -> Any:
    """Gives float32 [channel, sample], at `RATE`; notes are four numbers each."""
    piece = {"name": "piece", "seconds": seconds, "notes": notes, "pedal": pedal or []}
    text = studio.page.evaluate(
        """async ([piece, rate]) => {
            const sound = await player.render(piece, rate);
            const url = (channel) => new Promise((done) => {
                const reader = new FileReader();
                reader.onload = () => done(reader.result);
                reader.readAsDataURL(new Blob([sound.getChannelData(channel)]));
            });
            return [await url(0), await url(1)];
        }""",
        [piece, RATE],
    )
    return np.stack([np.frombuffer(base64.b64decode(t.split(",")[1]), np.float32) for t in text])


def loudness(sound: Any, start: float, end: float) -> float:
    """Root mean square between two seconds of the piece, in dB of full scale."""
    heard = sound[:, round((BEGIN_SECONDS + start) * RATE) : round((BEGIN_SECONDS + end) * RATE)]
    return float(20 * np.log10(np.sqrt(np.mean(heard**2)) + 1e-9))


def spectrum(sound: Any) -> tuple[Any, Any]:
    """Gives hertz and magnitude of the .5 s from .05 s of the piece on."""
    first = round((BEGIN_SECONDS + 0.05) * RATE)
    heard = sound.mean(axis=0)[first : first + RATE // 2]
    magnitude = np.abs(np.fft.rfft(heard * np.hanning(len(heard)), 8 * len(heard)))
    return np.fft.rfftfreq(8 * len(heard), 1 / RATE), magnitude


@pytest.mark.parametrize(("pitch", "hertz"), [(57, 220.0), (69, 440.0), (70, 466.16), (93, 1760.0)])
def test_the_strongest_partial_near_a_tone_is_at_its_pitch(studio, pitch, hertz):
    # Equal temperament: 440 Hz times the twelfth root of two a semitone, A4 = 69.
    frequency, magnitude = spectrum(render(studio, 1.0, [0, 900, pitch, 80]))
    near = (frequency > 0.75 * hertz) & (frequency < 1.5 * hertz)
    assert frequency[near][magnitude[near].argmax()] == pytest.approx(hertz, rel=0.005)


def test_a4_is_loudest_at_440_hertz(studio):
    frequency, magnitude = spectrum(render(studio, 1.0, [0, 900, 69, 80]))
    assert frequency[magnitude.argmax()] == pytest.approx(440, rel=0.01)


def test_a_softer_stroke_is_quieter_and_darker(studio):
    sounds = [render(studio, 1.0, [0, 900, 60, velocity]) for velocity in (30, 70, 120)]
    levels = [loudness(sound, 0, 0.5) for sound in sounds]
    assert levels[0] + 6 < levels[1] < levels[2] - 6
    bright = []  # The share of the energy above 2 kHz, dB.
    for sound in sounds:
        frequency, magnitude = spectrum(sound)
        high = (magnitude[frequency > 2000] ** 2).sum()
        bright.append(10 * np.log10(high / (magnitude**2).sum()))
    assert bright[0] + 6 < bright[1] < bright[2] - 3


def test_a_tone_begins_at_once_dies_away_and_ends_soon_after_its_note(studio):
    sound = render(studio, 3.0, [500, 2000, 69, 90])
    assert loudness(sound, 0, 0.49) < -100
    assert loudness(sound, 0.5, 0.55) > -30
    assert (
        loudness(sound, 0.55, 0.75) > loudness(sound, 2.2, 2.4) + 8 > loudness(sound, 2.8, 3) + 20
    )


def test_forty_tones_at_full_force_do_not_clip(studio):
    chord = [number for pitch in range(40, 80) for number in (0, 1500, pitch, 127)]
    sound = render(studio, 2.0, chord)
    assert 0.7 < np.abs(sound).max() <= 0.98


def test_a_usual_chord_is_loud_enough_and_far_from_the_limit(studio):
    chord = [number for pitch in (48, 55, 64, 67, 72) for number in (0, 900, pitch, 70)]
    sound = render(studio, 1.0, chord)
    assert -24 < loudness(sound, 0, 0.5) < -12
    assert np.abs(sound).max() < 0.7


def test_the_pedal_holds_a_tone_until_it_goes_up(studio):
    note = [0, 300, 57, 90]
    dry = render(studio, 3.0, note)
    held = render(studio, 3.0, note, [100, 127, 2000, 0])
    assert loudness(held, 1.5, 2.0) > loudness(dry, 1.5, 2.0) + 20
    assert loudness(held, 2.5, 3.0) < loudness(held, 1.5, 2.0) - 15


@pytest.mark.parametrize("pedal", [[0, 63, 2000, 0], [0, 127, 200, 0], [400, 127, 2000, 0]])
def test_a_pedal_that_is_up_when_the_note_ends_does_not_hold_it(studio, pedal):
    # 63 is off (MIDI 1.0); then one that goes up before the end, one that comes too late.
    note = [0, 300, 57, 90]
    dry, pedalled = render(studio, 2.0, note), render(studio, 2.0, note, pedal)
    np.testing.assert_allclose(pedalled, dry, atol=1e-6)


def test_a_key_that_is_struck_again_sounds_once_and_is_held_until_its_last_end(studio):
    # A note of 2 s, struck again after half a second for a quarter: the key stays down.
    sound = render(studio, 3.0, [0, 2000, 60, 80, 500, 250, 60, 80])
    once = render(studio, 3.0, [500, 1500, 60, 80])
    assert loudness(sound, 1.0, 1.9) == pytest.approx(loudness(once, 1.0, 1.9), abs=1)


def test_low_tones_are_to_the_left_and_high_ones_to_the_right(studio):
    for pitch, is_left in ((36, True), (96, False)):
        left, right = (render(studio, 1.0, [0, 900, pitch, 80]) ** 2).mean(axis=1)
        assert (left > 1.2 * right) if is_left else (right > 1.2 * left)


def test_every_key_of_midi_sounds_and_no_sample_is_lost(studio):
    keys = [number for pitch in range(0, 128, 9) for number in (200, 180, pitch, 127)]
    sound = render(studio, 3.2, keys)
    assert np.isfinite(sound).all()
    # Of the keys whose tone a loudspeaker gives and a rate of 22,050 holds.
    for index, pitch in enumerate(range(0, 128, 9)):
        if 20 < pitch < 110:
            assert loudness(sound, 0.2 * index + 0.2, 0.2 * index + 0.38) > -35, pitch
