"""Score -> WAV: 16 bits, 44,100 samples per second, mono; with the sustain pedal."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from pipelines import synthesis
from pipelines.command_line import duration
from pipelines.score import Score

Renderer = Literal["fluidsynth", "additive"]

SAMPLE_RATE = 44_100
LONGEST_SECONDS = 3600  # 320 MB, and three times that of memory while it is made.
CHUNK = 2**20  # Samples converted to integers at once.


def require_renderer(renderer: Renderer, soundfont: str) -> None:
    """Raises ValueError with instructions where a renderer is not available."""
    if renderer == "additive":
        if soundfont:
            raise ValueError(
                "a soundfont is for renderer=fluidsynth; add --renderer=fluidsynth or omit "
                "--soundfont"
            )
        return
    synthesis.synthesizer()
    if not soundfont:
        raise ValueError(
            "renderer=fluidsynth needs a soundfont; add --soundfont=FILE.sf2, or take "
            "--renderer=additive, additive synthesis that needs nothing"
        )
    if not Path(soundfont).expanduser().is_file():
        raise ValueError(f"there is no soundfont {soundfont!r}; give --soundfont=FILE.sf2")


def sound_of(score: Score, renderer: Renderer, soundfont: str) -> np.ndarray:
    """Renders a piece, normalised to a peak of `synthesis.LOUDEST`: float32 [sample].

    Args:
      score: any.
      renderer, soundfont: as for `require_renderer`.

    Raises:
      ValueError: as `synthesis.fluidsynth`; the piece is silent; or it lasts longer than
        `LONGEST_SECONDS`.
    """
    if not len(score.notes):
        raise ValueError("it has no notes")
    if score.length_seconds > LONGEST_SECONDS:
        lasts, most = duration(score.length_seconds), duration(LONGEST_SECONDS)
        raise ValueError(f"it lasts {lasts}; the most for sound is {most}")
    if renderer == "additive":
        sound = synthesis.additive_piano(score, SAMPLE_RATE)
    else:
        sound = synthesis.fluidsynth(score, SAMPLE_RATE, str(Path(soundfont).expanduser()))
    if not sound.any():
        raise ValueError(f"it is silent with renderer={renderer}")
    return synthesis.normalized(sound)


def write_wav(sound: np.ndarray, file: BinaryIO) -> None:
    """Writes float32 [sample] in [-1, 1] as a WAV file."""
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(SAMPLE_RATE)
        written.setnframes(len(sound))
        for first in range(0, len(sound), CHUNK):
            chunk = np.rint(sound[first : first + CHUNK] * (2**15 - 1))
            written.writeframesraw(chunk.astype("<i2").tobytes())
