"""Callbacks that write the files of a run at the end of each epoch, and TensorBoard's.

They know nothing of models: they are given what to call. An epoch has one number everywhere, in
file names, rows, charts and lines: epoch 1 is the first. All write their files whole or not at
all, and a run that is resumed replaces what lies after the epoch it starts from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from crnn_gan import metrics
from crnn_gan.metrics.bands import Band, mean_statistics
from crnn_gan.metrics.likeness import shared_notes
from crnn_gan.metrics.repeated import repeated_pieces
from crnn_gan.rendering import piano_roll_plot
from crnn_gan.runs.best import HELD_OUT_NATS, band_distance
from crnn_gan.runs.tables import (
    GENERATED,
    LOSSES_FILE,
    STATISTICS_FILE,
    Losses,
    Row,
    read_losses,
    read_rows,
    write_losses,
    write_rows,
)
from pipelines.atomic_file import write_atomically
from pipelines.codecs import audio
from pipelines.file_faults import write_error
from pipelines.formats import midi

TAGS = {s.name: f"statistics: {s.group}/{s.name}" for s in metrics.STATISTICS}


class Charts:
    """TensorBoard's files: one writer for each of the runs that it shows, opened when needed.

    Its step is the epoch. Whoever writes into one run shares one object, as TensorBoard follows
    one file of a run at a time.
    """

    def __init__(self, log_dir: str | Path):
        """Makes it for TensorBoard's folder; nothing is written yet."""
        self.log_dir = Path(log_dir)
        self._writers: dict[str, Any] = {}

    def write(
        self,
        run: str,
        epoch: int,
        scalars: Mapping[str, float],
        more: Callable[[], None] | None = None,
    ) -> None:
        """Writes scalars by tag, and what `more` writes, where it can be read at once."""
        import tensorflow as tf

        try:
            self._write(run, epoch, scalars, more)
        except tf.errors.OpError as error:
            again = "call the same command again; it goes on"
            raise write_error(error, self.log_dir / run, again) from None

    def _write(
        self,
        run: str,
        epoch: int,
        scalars: Mapping[str, float],
        more: Callable[[], None] | None,
    ) -> None:
        import tensorflow as tf

        if run not in self._writers:
            # TensorFlow would make it without the right to write for the group.
            (self.log_dir / run).mkdir(parents=True, exist_ok=True)
            self._writers[run] = tf.summary.create_file_writer(str(self.log_dir / run))
        writer = self._writers[run]
        with tf.device("CPU:0"), writer.as_default(epoch):
            for name, value in scalars.items():
                tf.summary.scalar(name, value)
            if more is not None:
                more()
        writer.flush()

    def close(self) -> None:
        """Closes all files."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}


class EpochFiles(keras.callbacks.Callback):
    """Base of callbacks that write into `run_dir/generated_data` and for TensorBoard."""

    def __init__(self, run_dir: str | Path, stage: str = "", charts: Charts | None = None):
        """Makes the callback and its folder.

        Args:
          run_dir: the run's folder.
          stage: name of the stage, for the rows.
          charts: TensorBoard's files; by default some of its own, in run_dir/logs.
        """
        super().__init__()
        self.folder = Path(run_dir) / GENERATED
        self.stage, self.charts = stage, charts or Charts(Path(run_dir) / "logs")
        self.folder.mkdir(parents=True, exist_ok=True)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Closes TensorBoard's files."""
        self.charts.close()


class EpochLosses(EpochFiles):
    """Writes what an epoch logs: a row of `losses.tsv`, and charts of each loss."""

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Writes the row and the charts."""
        number = epoch + 1
        losses = {name: float(value) for name, value in (logs or {}).items()}
        path = self.folder / LOSSES_FILE
        earlier = [r for r in read_losses(path) if r.epoch < number]
        write_losses(path, [*earlier, Losses(number, self.stage, losses)])
        self.charts.write("generated", number, {f"losses/{n}": v for n, v in losses.items()})


class EpochSample(EpochFiles):
    """Writes pieces generated after each epoch, and their statistics.

    Into run_dir/generated_data: `epoch-0007.mid` and its piano roll `epoch-0007.png`, the first of
    the generated pieces, and where it was read from a text that text too, `epoch-0007.abc`; and a
    row of `statistics.tsv`, the means over all of them. For TensorBoard: the piano
    roll and the statistics, whose groups are TensorBoard's (the part of a tag before the slash).
    Real music's mean, 5th and 95th percentile are runs of their own there, so that each
    statistic's chart shows them beside the generated music.

    It draws no random number. `generate` has to draw from seeds of its own too, or a run with
    samples would train differently from one without.
    """

    def __init__(
        self,
        run_dir: str | Path,
        generate: Callable[[int], Sequence[Any]],
        bands: Mapping[str, Band],
        stage: str = "",
        charts: Charts | None = None,
    ):
        """Makes the callback and its folder.

        Args:
          run_dir: the run's folder.
          generate: epoch, 1 is the first, -> one Score or more of the training length.
          bands: of the statistics of real windows of that length.
          stage: name of the stage, for the rows.
          charts: see `EpochFiles`.
        """
        super().__init__(run_dir, stage, charts)
        self.generate, self.bands = generate, bands

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Generates, and writes the files and the charts."""
        number = epoch + 1
        pieces = self.generate(number)
        chart = self._write_piece(pieces[0], number)
        row = self._row(number, pieces)
        path = self.folder / STATISTICS_FILE
        write_rows(path, [*(r for r in read_rows(path) if r.epoch < number), row])
        self.charts.write("generated", number, self._scalars(row), chart)
        for run, field in [("mean", "mean"), ("05", "low"), ("95", "high")] if self.bands else ():
            real = {TAGS[name]: getattr(band, field) for name, band in self.bands.items()}
            self.charts.write(f"real-{run}", number, real)

    def _write_piece(self, score: Any, epoch: int) -> Callable[[], None]:
        """Writes the files of an epoch's first piece; gives what lays it before TensorBoard."""
        picture = piano_roll_plot.plot(score, f"epoch {epoch}")
        stem = self.folder / f"epoch-{epoch:04d}"
        midi.write(score, stem.with_suffix(".mid"))
        write_atomically(stem.with_suffix(".png"), piano_roll_plot.encode_png(picture))
        if score.abc:
            write_atomically(stem.with_suffix(".abc"), score.abc.encode())

        def chart() -> None:
            import tensorflow as tf

            tf.summary.image("piano_roll", picture[None])

        return chart

    def _row(self, epoch: int, scores: Sequence[Any]) -> Row:
        means = mean_statistics([metrics.statistics(score) for score in scores])
        repeated, alike = repeated_pieces(scores), shared_notes(scores).value
        return Row(epoch, self.stage, len(scores), repeated, means, alike)

    def _scalars(self, row: Row) -> dict[str, float]:
        scalars = {TAGS[name]: value for name, value in row.statistics.items()}
        scalars["statistics: of all/repeated_pieces"] = row.repeated
        if row.shared_notes is not None:
            scalars["statistics: of all/shared_notes"] = row.shared_notes
        distance = band_distance(row, self.bands)
        if distance is not None:
            scalars["statistics: of all/band_distance"] = distance
        return scalars


class EpochSound(EpochSample):
    """Writes pieces that a model of sound generates after each epoch.

    As `EpochSample`, but `epoch-0007.wav` in place of MIDI and piano roll. No notes come back
    from sound, so a row of `statistics.tsv` holds no statistic: it says how many pieces were
    generated, and how many of them repeat an earlier one sample for sample. TensorBoard plays
    the first.
    """

    def __init__(
        self,
        run_dir: str | Path,
        generate: Callable[[int], Sequence[np.ndarray]],
        codec: audio.Codec,
        stage: str = "",
        charts: Charts | None = None,
    ):
        """Makes the callback and its folder.

        Args:
          run_dir: the run's folder.
          generate: epoch, 1 is the first, -> one array or more of levels [sample].
          codec: of the levels.
          stage: name of the stage, for the rows.
          charts: see `EpochFiles`.
        """
        super().__init__(run_dir, generate, {}, stage, charts)
        self.codec = codec

    def _write_piece(self, levels: Any, epoch: int) -> Callable[[], None]:
        content = self.codec.wav_bytes(levels)
        write_atomically(self.folder / f"epoch-{epoch:04d}.wav", content)

        def chart() -> None:
            import tensorflow as tf

            sound = self.codec.samples(levels)[None, :, None]
            tf.summary.audio("sound", sound, self.codec.sample_rate)

        return chart

    def _row(self, epoch: int, pieces: Sequence[Any]) -> Row:
        different = {np.asarray(levels).tobytes() for levels in pieces}
        return Row(epoch, self.stage, len(pieces), len(pieces) - len(different), {})


class HeldOutLikelihood(keras.callbacks.Callback):
    """Adds the mean nats of a step of held-out music to what an epoch logs.

    Put it before what writes the logs. It draws no random number.
    """

    def __init__(self, measure: Callable[[], float]):
        """Makes the callback; `measure` gives the nats with the weights as they are."""
        super().__init__()
        self.measure = measure

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measures."""
        if logs is not None:
            logs[HELD_OUT_NATS] = self.measure()
