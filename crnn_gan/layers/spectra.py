"""Magnitude spectra of sound, and the distance between two, for losses that compare timbre.

Mean spectra of batches are compared, as a model of sound that nothing conditions has no recording
that one of its pieces should match frame by frame.
"""

from __future__ import annotations

from typing import Any

from keras import ops


def mean_spectrum(sound: Any, frame: int) -> Any:
    """Gives the magnitude of each frequency, the mean over rows and frames: [frame // 2 + 1].

    Short-time Fourier transform with a Hann window; frames are a quarter of their length apart.

    Args:
      sound: float32 [batch, time], samples.
      frame: length of a frame, samples.
    """
    real, imaginary = ops.stft(sound, frame, max(1, frame // 4), frame, center=False)
    # A root has no gradient at 0.
    return ops.mean(ops.sqrt(ops.square(real) + ops.square(imaginary) + 1e-12), axis=(0, 1))


def spectral_distance(spectrum: Any, real: Any) -> Any:
    """Gives the squared distance of two mean spectra, relative to the square of the real one.

    0 where they are equal; 1 where one is twice the other, or where one is 0.
    """
    return ops.sum(ops.square(spectrum - real)) / ops.maximum(ops.sum(ops.square(real)), 1e-6)
