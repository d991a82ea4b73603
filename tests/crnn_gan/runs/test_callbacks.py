"""Callbacks in real fit() calls, and their files read back."""

from __future__ import annotations

import dataclasses
import gc
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from crnn_gan.metrics import statistics
from crnn_gan.metrics.bands import Band, bands
from crnn_gan.metrics.likeness import shared_notes
from crnn_gan.runs.callbacks import Charts, EpochLosses, EpochSample
from crnn_gan.runs.collapse_alarm import CollapseAlarm
from crnn_gan.runs.progress import Progress, duration
from crnn_gan.runs.tables import Row, read_losses, read_rows, write_rows
from pipelines.formats.midi import read_score
from pipelines.score import Score
from pipelines.score_arrays import NOTE

BAND = {name: Band(2.0, 1.0, 2.0, 3.0) for name in statistics(Score(12, np.zeros(0, NOTE)))}
WITHIN = dict.fromkeys(BAND, 2.0)


def piece(seed: int, notes: int = 40) -> Score:
    random_numbers = np.random.default_rng(seed)
    array = np.zeros(notes, NOTE)
    array["onset"] = np.cumsum(random_numbers.integers(0, 8, notes))
    array["duration"] = random_numbers.integers(1, 30, notes)
    array["pitch"] = random_numbers.permutation(np.arange(40, 40 + notes))
    array["velocity"] = random_numbers.integers(1, 128, notes)
    return Score.from_unsorted(12, array)


def compose(epoch: int) -> list[Score]:
    return [piece(10 * epoch + index) for index in range(3)]


REAL = bands([piece(seed) for seed in range(1000, 1010)])


def fit(callbacks: Sequence[keras.callbacks.Callback], epochs: int, first: int = 0) -> list[float]:
    """Trains a layer with dropout on noise; gives its weights and the state of NumPy's numbers."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    x = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
    model.fit(
        x, x[:, :1], 4, epochs=epochs, initial_epoch=first, verbose=0, callbacks=list(callbacks)
    )
    weights = [float(w) for array in model.get_weights() for w in array.ravel()]
    return [*weights, float(np.random.random()), random.random()]


def both(run_dir, stage=""):
    """The callbacks that write an epoch's losses and its pieces."""
    charts = Charts(run_dir / "logs")
    return [
        EpochLosses(run_dir, stage, charts),
        EpochSample(run_dir, compose, REAL, stage, charts),
    ]


def test_each_epoch_gives_a_midi_file_a_picture_and_a_row(tmp_path: Path):
    fit(both(tmp_path, "pretraining"), epochs=2)
    folder = tmp_path / "generated_data"
    assert sorted(path.name for path in folder.iterdir()) == [
        *("epoch-0001.mid", "epoch-0001.png", "epoch-0002.mid", "epoch-0002.png"),
        *("losses.tsv", "statistics.tsv"),
    ]
    for field in ("onset", "duration", "pitch", "velocity"):
        written = read_score(folder / "epoch-0002.mid").notes[field]
        assert written.tolist() == compose(2)[0].notes[field].tolist()
    with Image.open(folder / "epoch-0002.png") as picture:
        assert picture.size[0] == 1600
    first, second = read_rows(folder / "statistics.tsv")
    assert (first.epoch, second.epoch, second.stage) == (1, 2, "pretraining")
    assert (second.pieces, second.repeated) == (3, 0)
    spans = [statistics(score)["tone_span"] for score in compose(2)]
    assert second.statistics["tone_span"] == pytest.approx(np.mean(spans), rel=1e-5)
    assert second.shared_notes == pytest.approx(shared_notes(compose(2)).value, rel=1e-5)


def test_a_resumed_run_replaces_the_rows_after_its_beginning(tmp_path: Path):
    fit(both(tmp_path, "first try"), epochs=4)
    fit(both(tmp_path, "second try"), epochs=3, first=2)
    rows = read_rows(tmp_path / "generated_data" / "statistics.tsv")
    assert [(row.epoch, row.stage) for row in rows] == [
        *((1, "first try"), (2, "first try"), (3, "second try"))
    ]
    losses = read_losses(tmp_path / "generated_data" / "losses.tsv")
    assert [(row.epoch, row.stage) for row in losses] == [(row.epoch, row.stage) for row in rows]
    assert all(row.losses.keys() == {"loss"} and row.losses["loss"] > 0 for row in losses)


def test_a_run_that_was_begun_with_other_statistics_goes_on(tmp_path: Path):
    path = tmp_path / "generated_data" / "statistics.tsv"
    path.parent.mkdir()
    path.write_text("epoch\tstage\tpieces\trepeated\tpolyphony\thats\n1\t\t4\t0\t0.5\t3\n")
    callbacks = [EpochSample(tmp_path, compose, REAL), CollapseAlarm(tmp_path, REAL, epochs=2)]
    fit(callbacks, epochs=3, first=1)
    first, second, third = read_rows(path)
    assert first.statistics == {"polyphony": 0.5, "hats": 3.0}
    assert second.statistics.keys() == third.statistics.keys() == REAL.keys()


def test_a_statistic_that_was_not_measured_interrupts_an_excursion(tmp_path: Path):
    path = tmp_path / "generated_data" / "statistics.tsv"
    path.parent.mkdir()
    rows = [Row(epoch, "", 4, 0, WITHIN | {"unique_tones": 0.5}) for epoch in (1, 2, 3)]
    older = {name: value for name, value in WITHIN.items() if name != "unique_tones"}
    for second, lines in ((rows[1], 1), (dataclasses.replace(rows[1], statistics=older), 0)):
        write_rows(path, [rows[0], second, rows[2]])
        CollapseAlarm(tmp_path, BAND, epochs=3).on_epoch_end(2)
        assert len(alarm_lines(tmp_path)) == lines


def test_samples_do_not_change_what_is_trained(tmp_path: Path):
    assert fit(both(tmp_path), epochs=3) == fit([], epochs=3)


def test_pieces_of_no_note_are_written_too(tmp_path: Path):
    empty = Score(12, np.zeros(0, NOTE))
    fit([EpochSample(tmp_path, lambda epoch: [empty, empty], REAL)], epochs=1)
    (row,) = read_rows(tmp_path / "generated_data" / "statistics.tsv")
    assert (row.repeated, row.statistics["unique_tones"]) == (1, 0.0)


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()


def test_tensorboard_has_losses_statistics_beside_the_real_band_and_the_roll(tmp_path: Path):
    import tensorflow as tf

    fit(both(tmp_path), epochs=2)
    generated, high = events(tmp_path / "logs" / "generated"), events(tmp_path / "logs" / "real-95")
    tags = set(generated.Tags()["tensors"])
    assert {"losses/loss", "statistics: the paper's/unique_tones", "piano_roll"} <= tags
    assert {"statistics: rhythm/note_count", "statistics: of all/band_distance"} <= tags
    assert "statistics: of all/shared_notes" in tags
    assert [event.step for event in generated.Tensors("losses/loss")] == [1, 2]
    (_, value) = high.Tensors("statistics: the paper's/tone_span")
    assert tf.make_ndarray(value.tensor_proto) == pytest.approx(REAL["tone_span"].high)
    picture = generated.Tensors("piano_roll")[1].tensor_proto.string_val[2]
    assert tf.io.decode_png(picture).shape[1:] == (1600, 3)


def test_charts_are_readable_while_the_run_goes_on(tmp_path: Path):
    callbacks = both(tmp_path)
    for callback in callbacks:
        callback.on_epoch_end(0, {"loss": 1.5})
    generated = events(tmp_path / "logs" / "generated")
    assert len(generated.Tensors("losses/loss")) == len(generated.Tensors("piano_roll")) == 1
    callbacks[0].on_train_end()


def alarm_lines(folder: Path) -> list[str]:
    path = folder / "alarms.txt"
    return path.read_text().splitlines() if path.exists() else []


def alarm_after(folder: Path, values: Sequence[dict[str, float]], **fields: float) -> list[str]:
    """Runs an alarm of 3 epochs over rows of these statistics; gives the lines of alarms.txt."""
    path = folder / "generated_data" / "statistics.tsv"
    path.parent.mkdir(exist_ok=True)
    alarm = CollapseAlarm(folder, BAND, epochs=3)
    rows: list[Row] = []
    for epoch, statistics_of_epoch in enumerate(values):
        row = Row(epoch + 1, "", 4, 0, WITHIN | statistics_of_epoch)
        rows.append(dataclasses.replace(row, **fields))
        write_rows(path, rows)
        alarm.on_epoch_end(epoch)
    return alarm_lines(folder)


def test_the_alarm_keeps_silent_within_and_a_little_outside_the_band(
    tmp_path: Path, capsys: pytest.CaptureFixture
):
    # The band is 1..3, so far outside is below 0.67 and above 4.5.
    assert alarm_after(tmp_path, [{"unique_tones": 0.7, "repetitions": 4.4}] * 9) == []
    assert capsys.readouterr().err == ""
    assert not (tmp_path / "alarms.txt").exists()


def test_the_alarm_warns_once_after_so_many_epochs_and_when_it_is_over(
    tmp_path: Path, capsys: pytest.CaptureFixture
):
    values = [{}, *[{"unique_tones": 0.5}] * 5, {}, {}]
    lines = alarm_after(tmp_path, values)
    assert lines == [
        "epoch 4: unique tones 0.5 is far below real music's 1..3 for 3 epochs in a row: the "
        "generator may have collapsed; try a Wasserstein loss, more critic updates a batch or a "
        "lower learning rate for the generator",
        "epoch 7: unique tones: no longer so",
    ]
    assert capsys.readouterr().err.splitlines() == [f"warning: {line}" for line in lines]


def test_the_alarm_adds_what_joins_later(tmp_path: Path):
    values = [{"unique_tones": 0.5}] * 3 + [{"unique_tones": 0.5, "repetitions": 90.0}] * 3
    lines = alarm_after(tmp_path, values)
    assert [line.split(" is ")[0] for line in lines] == [
        "epoch 3: unique tones 0.5",
        "epoch 6: repetitions 90",
    ]


def test_an_interrupted_excursion_is_no_alarm(tmp_path: Path):
    assert alarm_after(tmp_path, [{"polyphony": 9.0}, {"polyphony": 9.0}, {}] * 3) == []


def test_the_alarm_watches_for_equal_pieces(tmp_path: Path):
    (line,) = alarm_after(tmp_path, [{}] * 4, repeated=2)
    assert line.startswith("epoch 3: 2 of 4 pieces repeat another note for note, for 3 epochs")


def test_a_resumed_alarm_drops_the_lines_after_its_beginning(tmp_path: Path):
    assert len(alarm_after(tmp_path, [{"unique_tones": 0.5}] * 4)) == 1
    assert alarm_after(tmp_path, [{}] * 3) == []


def test_an_alarm_without_statistics_says_what_to_do(tmp_path: Path):
    with pytest.raises(ValueError, match="put EpochSample before CollapseAlarm"):
        CollapseAlarm(tmp_path, BAND).on_epoch_end(0)
    with pytest.raises(ValueError, match="give 1 or more"):
        CollapseAlarm(tmp_path, BAND, epochs=0)


def test_sample_and_alarm_work_together_in_fit(tmp_path: Path, capsys: pytest.CaptureFixture):
    same = [piece(1), piece(1)]
    callbacks = [
        EpochSample(tmp_path, lambda epoch: same, REAL),
        CollapseAlarm(tmp_path, REAL, epochs=2),
    ]
    fit(callbacks, epochs=3)
    assert alarm_lines(tmp_path)[0].startswith("epoch 2: 1 of 2 pieces repeat another")
    assert "warning: epoch 2: 1 of 2" in capsys.readouterr().err


def seconds(*times: float) -> Callable[[], float]:
    """A clock that shows these times, one a look."""
    return iter(times).__next__


def test_progress_says_epoch_losses_speed_and_time_left(capsys: pytest.CaptureFixture):
    # Begins at 0; epoch 3 starts at 1, its 40th step ends at 21, all of it at 25.
    progress = Progress(10, "adversarial", clock=seconds(0, 1, 21, 25))
    progress.on_train_begin()
    progress.on_epoch_begin(2)
    progress.on_train_batch_end(39)
    progress.on_epoch_end(2, {"critic_loss": 1.23456, "generator_loss": float("nan")})
    # 40 steps in 20 s; 7 epochs of 25 s are left.
    assert capsys.readouterr().out == (
        "epoch 3 of 10 (adversarial): critic loss 1.235, generator loss nan, 2 steps/s, "
        "2 min 55 s left\n"
    )


def test_progress_forgets_the_first_epoch_which_compiles(capsys: pytest.CaptureFixture):
    progress = Progress(4, clock=seconds(0, 0, 100, 100, 110, 110, 120))
    progress.on_train_begin()
    for epoch in range(3):
        progress.on_epoch_begin(epoch)
        progress.on_epoch_end(epoch)
    assert capsys.readouterr().out.splitlines() == [
        "epoch 1 of 4: 5 min 00 s left",
        "epoch 2 of 4: 20 s left",
        "epoch 3 of 4: 10 s left",
    ]


def test_progress_prints_a_line_an_epoch_in_fit(capsys: pytest.CaptureFixture):
    fit([Progress(5, "pretraining")], epochs=2)
    fit([Progress(5, "adversarial")], epochs=5, first=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        *("epoch 1 of 5 (pretraining)", "epoch 2 of 5 (pretraining)"),
        *(f"epoch {epoch} of 5 (adversarial)" for epoch in (3, 4, 5)),
    ]
    assert all("loss " in line and "steps/s" in line for line in lines)
    assert lines[-1].endswith(", 0 s left")


@pytest.mark.parametrize(
    ("time", "text"),
    [(0.4, "0 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7499, "2 h 05 min")],
)
def test_durations_are_read_at_a_glance(time: float, text: str):
    assert duration(time) == text


def resident_megabytes() -> float:
    """Memory of this process, from the kernel's count of pages of 4096 bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux has /proc")
@pytest.mark.tensorflow_only  # As it knows no backend.
def test_thirty_epochs_leave_no_memory_behind(tmp_path: Path):
    sample = EpochSample(tmp_path, lambda epoch: [piece(epoch % 5)] * 4, REAL)
    for epoch in range(40):
        if epoch == 10:  # The warm-up ends.
            gc.collect()
            before = resident_megabytes()
        sample.on_epoch_end(epoch, {"loss": 1.0})
    gc.collect()
    sample.on_train_end()
    # One picture is 2 MB and its canvas 3: kept ones would be 150. Other tests of this process
    # still give and take some.
    assert resident_megabytes() - before < 50


def test_the_alarm_knows_pieces_that_are_alike_without_being_equal(tmp_path: Path):
    (line,) = alarm_after(tmp_path, [{}] * 3, shared_notes=0.75)
    assert line.startswith(
        "epoch 3: two pieces share 75% of their notes, for 3 epochs in a row half or more: the "
        "generator may ignore its noise; try "
    )
    (tmp_path / "alarms.txt").unlink()
    assert alarm_after(tmp_path, [{}] * 3, shared_notes=0.25) == []
