"""WAV files: 16-bit PCM is written, PCM of 8 to 32 bits is read."""

from __future__ import annotations

import io
import os
import wave
from math import gcd
from pathlib import Path

import numpy as np

LARGEST_BYTES = 512 * 2**20
FULL_SCALE = 2**15  # Of 16 bits: a sample of 1.


def pcm(sound: np.ndarray) -> np.ndarray:
    """Quantises float32 [sample] in [-1, 1] to int16: times 2**15, halves away from zero.

    As `tf.audio.encode_wav` does, so that files of a graph and of Python are equal.
    """
    scaled = sound.astype(np.float64) * FULL_SCALE
    rounded = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled)
    return np.clip(rounded, -FULL_SCALE, FULL_SCALE - 1).astype("<i2")


def to_bytes(samples: np.ndarray, sample_rate: int) -> bytes:
    """Gives a WAV file of one channel of int16 [sample]."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(sample_rate)
        written.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def parse(content: bytes) -> tuple[np.ndarray, int]:
    """Parses a WAV file.

    Returns:
      float32 [sample] in [-1, 1], the mean of its channels; and the sample rate.

    Raises:
      ValueError: it is no WAV file of PCM.
    """
    try:
        with wave.open(io.BytesIO(content)) as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            data = file.readframes(file.getnframes())
    except (wave.Error, EOFError, RuntimeError) as error:
        raise ValueError(f"is no WAV file of PCM samples ({error or 'it ends too soon'})") from None
    if width not in (1, 2, 3, 4) or not channels or not rate:
        raise ValueError(f"has {8 * width} bits a sample, {channels} channels, {rate} Hz")
    whole = len(data) // (width * channels) * width * channels
    octets = np.frombuffer(data[:whole], np.uint8).reshape(-1, width)
    if width == 1:  # The one that is unsigned.
        samples = (octets[:, 0].astype(np.float64) - 128) / 128
    else:
        wide = np.zeros((len(octets), 4), np.uint8)
        wide[:, 4 - width :] = octets
        samples = wide.view("<i4")[:, 0] / 2.0**31
    return samples.reshape(-1, channels).mean(axis=1).astype(np.float32), rate


def read(path: str | os.PathLike[str], sample_rate: int) -> np.ndarray:
    """Reads a WAV file, resampled to a rate, not normalised.

    Args:
      sample_rate: of the result, samples per second.

    Returns:
      float32 [sample], the mean of its channels, low-pass filtered for that rate.

    Raises:
      ValueError: it is no WAV file of PCM, is empty or too large. OSError: it is not there.
    """
    path = Path(path)
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        raise ValueError(f"{path} is larger than {LARGEST_BYTES} bytes")
    try:
        sound, rate = parse(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} {error}") from None
    if not len(sound):
        raise ValueError(f"{path} has no samples")
    if rate == sample_rate:
        return sound
    from scipy.signal import resample_poly  # Slow to import.

    common = gcd(rate, sample_rate)
    return resample_poly(sound, sample_rate // common, rate // common).astype(np.float32)
