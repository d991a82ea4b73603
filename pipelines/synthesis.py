"""Synthesis of sound: a piano by additive synthesis, and fluidsynth with the extra `audio`.

The additive piano is for machines without a synthesizer, and for data whose every sample
follows from this file: strings with inharmonic partials (Fletcher, Blackham and Stratton
1962), which decay the faster the higher they are, struck at an eighth of their length.
Loudness grows with the square of velocity (Dannenberg 2006), and with it the brightness.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipelines.score import Score

LONGEST_SECONDS = 2 * 3600  # What begins later is not rendered, what sounds then ends.
LOUDEST = 0.9  # Of the loudest sample of a piece.

PARTIALS = 32
ATTACK_SECONDS = 0.003
RELEASE_SECONDS = 0.08  # From the end of a note to silence.
STRUCK_AT = 1 / 8  # Of the string, where the hammer falls.
BLOCK = 256  # Samples that share the start of their powers.

SYNTHESIZER_HERTZ = 32_000  # At least; it does not filter what a lower rate cannot hold.
TAIL_SECONDS = 1.0  # After the last note, for the synthesizer's own release.
FILTER_PERIODS = 16  # To each side of the filter's middle, in samples of the lower rate.
MOST_CHANNELS = 256


def normalized(sound: np.ndarray) -> np.ndarray:
    """Normalises float32 [sample] to a peak of `LOUDEST`; silence stays."""
    peak = float(max(sound.max(initial=0), -sound.min(initial=0)))
    return sound * np.float32(LOUDEST / peak) if peak else sound


# The additive piano.


class String(NamedTuple):
    """The decaying unit sines of a pitch: sine k at sample n is starts[n // BLOCK] . steps.

    Attributes:
      starts: float32 [block, 2 * partial], cosines, then sines, at the first of a block.
      steps: float32 [2 * partial, BLOCK], sines, then cosines, from there on.
    """

    starts: np.ndarray
    steps: np.ndarray


def additive_piano(score: Score, sample_rate: int) -> np.ndarray:
    """Synthesizes a Score as a piano, by additive synthesis of sines.

    The sustain pedal is applied; the other two are not, drums are silent, and every program
    is this piano. A partial above half the sample rate is left out, and so is a note whose
    partials all are. The sum of notes is not scaled: one of velocity 127 has the energy of a
    sine of amplitude 1 at its onset.

    Args:
      score: any.
      sample_rate: samples per second.

    Returns:
      float32 [sample], up to `RELEASE_SECONDS` after the last note.
    """
    score = score.with_sustain_applied()
    begin_seconds, end_seconds = score.onset_seconds, score.end_seconds
    is_kept = ~score.notes["is_drum"] & (begin_seconds < LONGEST_SECONDS)
    begin = np.rint(begin_seconds[is_kept] * sample_rate).astype(np.int64)
    end = np.rint(np.minimum(end_seconds[is_kept], LONGEST_SECONDS) * sample_rate)
    held = end.astype(np.int64) - begin
    attack, release = _ramp(ATTACK_SECONDS, sample_rate), _ramp(RELEASE_SECONDS, sample_rate)[::-1]
    sound = np.zeros(int((begin + held).max(initial=0)) + len(release) * bool(len(begin)), "f4")
    notes = score.notes[is_kept]
    columns = begin, held, notes["pitch"], notes["velocity"]
    # A turn is a note, and thousands of samples.
    for first, samples, pitch, velocity in zip(*(c.tolist() for c in columns), strict=True):
        string = _string(pitch, sample_rate)
        partials = string.starts.shape[1] // 2
        samples = min(samples, len(string.starts) * BLOCK - len(release))
        blocks = -(-(samples + len(release)) // BLOCK)
        loudness = np.tile(_partials()[velocity, :partials], 2)
        # No matmul: its threads would fight with those of the other workers.
        tone = np.einsum("an,nb->ab", string.starts[:blocks] * loudness, string.steps)
        tone = tone.reshape(-1)[: samples + len(release)]
        tone[: len(attack)] *= attack[: len(tone)]
        tone[samples:] *= release
        sound[first : first + len(tone)] += tone
    return sound


@functools.lru_cache(maxsize=2 * 128)
def _string(pitch: int, sample_rate: int) -> String:
    """Gives the partials of a pitch that are below half the sample rate."""
    number = np.arange(1, PARTIALS + 1)
    stiffness = 1e-4 * 2 ** ((pitch - 48) / 9)
    stretched = np.sqrt((1 + stiffness * number**2) / (1 + stiffness))
    hertz = 440 * 2 ** ((pitch - 69) / 12) * number * stretched
    silent_seconds = 20 * 2 ** (-(pitch - 21) / 20)  # Until the first partial is at -60 dB.
    decay = np.log(1000) / silent_seconds * (1 + 0.3 * (number - 1))
    is_heard = hertz < sample_rate / 2
    power = (-decay[is_heard] + 2j * np.pi * hertz[is_heard]) / sample_rate
    blocks = 1 + int((silent_seconds + RELEASE_SECONDS) * sample_rate) // BLOCK
    starts = np.exp(np.arange(blocks)[:, None] * BLOCK * power)
    steps = np.exp(power[:, None] * np.arange(BLOCK))
    return String(
        np.concatenate([starts.real, starts.imag], axis=1).astype(np.float32),
        np.concatenate([steps.imag, steps.real]).astype(np.float32),
    )


@functools.cache
def _partials() -> np.ndarray:
    """The amplitude of each partial at each velocity: float32 [velocity, partial]."""
    number, force = np.arange(1, PARTIALS + 1), np.arange(128)[:, None] / 127
    shape = np.sin(np.pi * STRUCK_AT * number) * number ** (1.2 * force - 2.4)
    shape /= np.sqrt((shape**2).sum(axis=1, keepdims=True))
    return (force**2 * shape).astype(np.float32)


@functools.lru_cache(maxsize=16)
def _ramp(seconds: float, sample_rate: int) -> np.ndarray:
    """Rises from 0 to nearly 1 as the square of a sine: float32 [sample]."""
    samples = max(1, round(seconds * sample_rate))
    return (np.sin(np.pi / 2 * np.arange(samples) / samples) ** 2).astype(np.float32)


# The synthesizer.


def fluidsynth(score: Score, sample_rate: int, soundfont: str) -> np.ndarray:
    """Synthesizes a Score by fluidsynth, without reverb and chorus, with drums and all pedals.

    Args:
      score: any.
      sample_rate: samples per second.
      soundfont: path of an SF2 or SF3 file with General MIDI programs.

    Returns:
      float32 [sample] in [-1, 1], up to `TAIL_SECONDS` after the last note.

    Raises:
      ValueError: pyfluidsynth or fluidsynth is not installed, or the soundfont is missing,
        is none, or has no such program.
    """
    if not Path(soundfont).is_file():
        raise ValueError(f"there is no soundfont {soundfont!r}; give --soundfont=FILE.sf2")
    if not len(score.notes):
        return np.zeros(0, np.float32)
    factor = -(-SYNTHESIZER_HERTZ // sample_rate)
    gain, sound = 1.0, None
    while sound is None:
        sound = _synthesized(score, sample_rate * factor, soundfont, gain)
        gain /= 4
    return decimated(sound, factor)


def decimated(sound: np.ndarray, factor: int) -> np.ndarray:
    """Downsamples float32 [sample] by `factor`, after a low-pass filter.

    The filter is a sinc in a Kaiser window: within 1 % up to 0.8 of half the new rate, 80 dB
    down from 1.05 of it on.
    """
    if factor == 1:
        return sound
    reach = FILTER_PERIODS * factor
    taps = np.arange(-reach, reach) / factor
    cutoff = 0.92
    kernel = cutoff * np.sinc(cutoff * taps) * np.kaiser(2 * reach + 1, 8)[:-1] / factor
    padded = np.pad(sound, (reach, reach + -len(sound) % factor)).reshape(-1, factor)
    samples = -(-len(sound) // factor)
    phases = kernel.astype(np.float32).reshape(-1, factor)
    return sum(
        (padded[turn : turn + samples] * phase).sum(axis=1) for turn, phase in enumerate(phases)
    )


def synthesizer() -> Any:
    """Gives the module of pyfluidsynth.

    Raises:
      ValueError: it or fluidsynth is not installed; the text says what to do.
    """
    try:
        import fluidsynth
    except ImportError as error:  # Of pyfluidsynth, or of the library that it looks for.
        raise ValueError(
            "renderer=fluidsynth needs pyfluidsynth (the extra 'audio' of this package) and the "
            f"system's library fluidsynth, which are not both here ({error}); install them, or "
            "take --renderer=additive"
        ) from None
    return fluidsynth


def _synthesized(score: Score, sample_rate: int, soundfont: str, gain: float) -> np.ndarray | None:
    """Gives float32 [sample], both sides in one; None where the gain was too much for 16 bits."""
    dry = {"synth.reverb.active": 0, "synth.chorus.active": 0}
    synth = synthesizer().Synth(gain, sample_rate, MOST_CHANNELS, **dry)
    try:
        channel = _select_programs(synth, score, soundfont)
        calls = (synth.noteoff, synth.cc, synth.noteon)
        parts, done = [], 0
        for sample, call, *arguments in _messages(score, channel, sample_rate).tolist():
            parts.append(synth.get_samples(sample - done))
            done = sample
            calls[call](*arguments[: 2 if call == 0 else 3])
        parts.append(synth.get_samples(round(TAIL_SECONDS * sample_rate)))
    finally:
        synth.delete()
    stereo = np.concatenate(parts).reshape(-1, 2)
    if max(stereo.max(), -int(stereo.min())) >= 2**15 - 1:
        return None
    return stereo.mean(axis=1, dtype=np.float32) / np.float32(2**15)


def _select_programs(synth: Any, score: Score, soundfont: str) -> np.ndarray:
    """Gives each (track, program, drums or not) a channel, as long as they suffice: int [note]."""
    font = synth.sfload(soundfont)
    if font < 0:
        raise ValueError(f"{soundfont} is no soundfont that fluidsynth reads")
    notes = score.notes
    voice = (notes["track"].astype(np.int64) * 128 + notes["program"]) * 2 + notes["is_drum"]
    codes, index = np.unique(voice, return_inverse=True)
    for channel, code in enumerate(codes[:MOST_CHANNELS].tolist()):
        program, bank = code // 2 % 128, 128 * (code % 2)
        if synth.program_select(channel, font, bank, program) != 0:
            raise ValueError(f"{soundfont} has no program {program} in bank {bank}")
    return index % MOST_CHANNELS


def _messages(score: Score, channel: np.ndarray, sample_rate: int) -> np.ndarray:
    """Gives int64 [message, 5]: sample, which call, channel, and what the call takes.

    Calls: 0 ends a note, 1 moves a pedal, 2 begins a note; in this order at one tick. The
    pedals of a channel of the Score move on every channel of its notes, but not those of drums.
    """
    notes, zeros = score.notes, np.zeros(len(score.notes), np.int64)
    pitch, velocity = notes["pitch"], notes["velocity"]
    pitched = ~notes["is_drum"]
    moves = []
    for synth_channel, score_channel in sorted(
        set(zip(channel[pitched].tolist(), score.note_channels[pitched].tolist(), strict=True))
    ):
        pedal = score.pedal[score.pedal["channel"] == score_channel]
        ones = np.ones(len(pedal), np.int64)
        moves.append(
            (pedal["tick"], ones, ones * synth_channel, pedal["controller"], pedal["value"])
        )
    parts = [(score.end_ticks, zeros, channel, pitch, zeros), *moves]
    parts.append((notes["onset"], zeros + 2, channel, pitch, velocity))
    columns = [np.concatenate(column).astype(np.int64) for column in zip(*parts, strict=True)]
    seconds = score.seconds_at(columns[0])
    order = np.argsort(columns[0], kind="stable")
    order = order[seconds[order] < LONGEST_SECONDS]
    columns[0] = np.rint(seconds * sample_rate).astype(np.int64)
    return np.stack(columns, axis=1)[order]
