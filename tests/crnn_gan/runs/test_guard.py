"""Signals in real fit() calls: where training stops, and what it says."""

import gc
import signal

import keras
import numpy as np
import pytest

from crnn_gan.runs import checkpoint
from crnn_gan.runs.guard import StopOnSignal
from pipelines.stopping import Stopped, deferred

EPOCHS, BATCHES = 5, 4


class Interrupt(keras.callbacks.Callback):
    """Sends a signal to this process at one moment of training."""

    def __init__(self, moment, epoch, batch=None, send=lambda: signal.raise_signal(signal.SIGINT)):
        super().__init__()
        self.moment, self.place, self.send = moment, (epoch, batch), send
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1
        self._come("epoch begins", None)

    def on_train_batch_begin(self, batch, logs=None):
        self._come("batch begins", batch + 1)

    def on_train_batch_end(self, batch, logs=None):
        self._come("batch ends", batch + 1)

    def on_epoch_end(self, epoch, logs=None):
        self._come("epoch ends", None)

    def _come(self, moment, batch):
        if (moment, self.epoch, batch) == (self.moment, *self.place):
            self.send()


class Written(keras.callbacks.Callback):
    """Passes for what writes the files of an epoch."""

    def __init__(self, run_dir):
        super().__init__()
        self.run_dir = run_dir

    def on_epoch_end(self, epoch, logs=None):
        (self.run_dir / checkpoint.FOLDER / f"epoch-{epoch + 1:06d}").mkdir(parents=True)


def words_of(run_dir, interrupt):
    """What training says when it is stopped by a signal; the checkpoints are those of 1 to n."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    x = np.ones((BATCHES * 2, 2), "float32")
    callbacks = [interrupt, Written(run_dir), StopOnSignal(run_dir)]
    with pytest.raises(Stopped) as caught, deferred("at the end of this batch"):
        model.fit(x, x[:, :1], 2, epochs=EPOCHS, verbose=0, callbacks=callbacks)
    return caught.value.where


@pytest.mark.parametrize(
    ("moment", "epoch", "batch", "words"),
    [
        (
            "epoch begins", 1, None,
            " in epoch 1, after 0 of 4 batches; no epoch has a checkpoint yet, so training begins "
            "again",
        ),
        (
            "batch begins", 2, 3,
            " in epoch 2, after 2 of 4 batches; the checkpoint of epoch 1 stays",
        ),
        ("batch ends", 3, 3, " in epoch 3, after 3 of 4 batches; the checkpoint of epoch 2 stays"),
        ("epoch ends", 2, None, " after epoch 2; the checkpoint of epoch 2 stays"),
        ("epoch ends", 5, None, " after epoch 5; the checkpoint of epoch 5 stays"),
    ],
)  # fmt: skip
def test_training_stops_between_batches_or_when_the_files_of_an_epoch_are_written(
    tmp_path, moment, epoch, batch, words
):
    assert words_of(tmp_path, Interrupt(moment, epoch, batch)) == words


def test_a_signal_within_a_callback_of_the_garbage_collector_stops_training_too(tmp_path):
    def interrupt(phase, info):
        gc.callbacks.remove(interrupt)
        signal.raise_signal(signal.SIGTERM)
        sum(range(1000))

    def collect():
        gc.callbacks.append(interrupt)
        gc.collect()

    words = words_of(tmp_path, Interrupt("batch ends", 2, 1, collect))
    assert words == " in epoch 2, after 1 of 4 batches; the checkpoint of epoch 1 stays"
