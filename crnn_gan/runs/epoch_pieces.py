"""Pieces generated while a model trains: always of the same seeds, so that one can follow them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from crnn_gan.generation.noise import draw_numpy
from crnn_gan.music_model import MusicModel
from pipelines.codecs.codec import ScoreCodec
from pipelines.score import Score


def score_generator(
    model: MusicModel, codec: ScoreCodec, count: int, length: int, seed: int
) -> Callable[[int], list[Score]]:
    """Gives a function that generates `count` Scores; see `array_generator`."""
    generate = array_generator(model, count, length, seed)
    return lambda epoch: [decoded.score for decoded in codec.decode_all(generate(epoch))]


def array_generator(
    model: MusicModel, count: int, length: int, seed: int
) -> Callable[[int], list[np.ndarray]]:
    """Gives a function that generates `count` pieces of `length` steps by the present weights.

    They are arrays as the model's spec says, of the seeds `seed` to `seed + count - 1` at each
    call, whatever the epoch. Nothing is drawn from the model's own random numbers.
    """
    noise = draw_numpy(model.noise_spec(count, length), np.arange(seed, seed + count))
    controls = {
        name: np.full((count, *np.shape(control.default)), control.default, control.dtype)
        for name, control in model.controls.items()
    }

    def generate(epoch: int) -> list[np.ndarray]:
        return list(np.asarray(model.predict_on_batch({"noise": noise, "controls": controls})))

    return generate
