"""Small MIDI files of known notes, written by mido."""

import io
from pathlib import Path

import mido


def midi_bytes(*pitches: int, duration: int = 240, velocity: int = 64) -> bytes:
    """One track of notes, one after the other, of `duration` ticks of 480 a quarter."""
    track = mido.MidiTrack()
    for pitch in pitches:
        track.append(mido.Message("note_on", note=pitch, velocity=velocity, time=0))
        track.append(mido.Message("note_off", note=pitch, time=duration))
    out = io.BytesIO()
    mido.MidiFile(ticks_per_beat=480, tracks=[track]).save(file=out)
    return out.getvalue()


def write_midi(path: Path, *pitches: int, duration: int = 240, velocity: int = 64) -> None:
    """Writes midi_bytes, and the folders above."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(midi_bytes(*pitches, duration=duration, velocity=velocity))
