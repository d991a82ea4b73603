"""Callbacks: what a run writes and says at the end of each epoch.

They know nothing of models: they are given what to call. An epoch has one number
everywhere, in file names, rows, charts and lines: epoch 1 is the first. All write their
files whole or not at all, and a run that is resumed replaces what lies after the epoch it
starts from.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from crnn_gan import metrics
from crnn_gan.metrics.bands import Band, in_words, mean_statistics, number, side
from crnn_gan.metrics.likeness import shared_notes
from crnn_gan.metrics.repeated import repeated_pieces
from crnn_gan.rendering import piano_roll_plot
from crnn_gan.runs.best import HELD_OUT_NATS, band_distance
from crnn_gan.runs.collapse import too_alike
from crnn_gan.runs.tables import (
    ALARMS_FILE,
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
from pipelines.command_line import duration
from pipelines.formats import midi

TAGS = {s.name: f"statistics: {s.group}/{s.name}" for s in metrics.STATISTICS}

ADVICE = {  # What each watched statistic far from real music tends to mean.
    ("polyphony", "below"): "it writes tones one by one; several tones a cell, or more "
    "training, bring chords",
    ("polyphony", "above"): "everything starts together: the generator may have collapsed into "
    "one chord; try a Wasserstein loss or more critic updates a batch",
    ("unique_tones", "below"): "the generator may have collapsed; try a Wasserstein loss, more "
    "critic updates a batch or a lower learning rate for the generator",
    ("unique_tones", "above"): "the tones may be scattered by chance; train longer, or let the "
    "generator learn more slowly",
    ("repetitions", "below"): "nothing comes back; train longer, or on longer songs",
    ("repetitions", "above"): "the generator may be caught in a loop; try a Wasserstein loss or "
    "more critic updates a batch",
}
IGNORED_NOISE = (
    "the generator may ignore its noise; try --r1 or a Wasserstein loss, minibatch discrimination "
    "or more critic updates a batch"
)


class EpochSample(keras.callbacks.Callback):
    """Writes what the model composes after each epoch, and what that is like.

    Into run_dir/generated_data: `epoch-0007.mid` and its piano roll `epoch-0007.png`, the
    first of the composed pieces, and where it was read from a text that text too,
    `epoch-0007.abc`; a row of `statistics.tsv`, the means over all of them; and a row of
    `losses.tsv`. Into log_dir for TensorBoard, with the epoch as step: losses, the
    piano roll and the statistics, whose groups are TensorBoard's (the part of a tag before
    the stroke). Real music's mean, 5th and 95th percentile are runs of their own there, so
    that each statistic's chart shows them beside the generated music.

    It draws no random number. `compose` has to draw from seeds of its own too, or a run
    with samples would train differently from one without.
    """

    def __init__(
        self,
        run_dir: str | Path,
        compose: Callable[[int], Sequence[Any]],
        bands: Mapping[str, Band],
        stage: str = "",
        log_dir: str | Path | None = None,
    ):
        """Makes the callback and its folder.

        Args:
          run_dir: the run's folder.
          compose: epoch, 1 is the first, -> one Score or more of the training length.
          bands: where real windows of that length lie.
          stage: name of the stage, for the rows.
          log_dir: TensorBoard's folder; run_dir/logs by default.
        """
        super().__init__()
        self.folder = Path(run_dir) / GENERATED
        self.log_dir = Path(log_dir) if log_dir else Path(run_dir) / "logs"
        self.compose, self.bands, self.stage = compose, bands, stage
        self.folder.mkdir(parents=True, exist_ok=True)
        self._writers: dict[str, Any] = {}

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Composes, writes the files and the charts."""
        number = epoch + 1
        pieces = self.compose(number)
        charts = self._write_piece(pieces[0], number)
        row = self._row(number, pieces)
        path = self.folder / STATISTICS_FILE
        write_rows(path, [*(r for r in read_rows(path) if r.epoch < number), row])
        losses = {name: float(value) for name, value in (logs or {}).items()}
        path = self.folder / LOSSES_FILE
        earlier = [r for r in read_losses(path) if r.epoch < number]
        write_losses(path, [*earlier, Losses(number, self.stage, losses)])
        self._chart(row, charts, losses)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Closes TensorBoard's files."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _write_piece(self, score: Any, epoch: int) -> Callable[[], None]:
        """Writes the files of an epoch's first piece; gives what lays it before TensorBoard."""
        picture = piano_roll_plot.draw(score, f"epoch {epoch}")
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

    def _chart(
        self, row: Row, chart_piece: Callable[[], None], losses: Mapping[str, float]
    ) -> None:
        import tensorflow as tf

        scalars = {f"losses/{name}": value for name, value in losses.items()}
        scalars |= {TAGS[name]: value for name, value in row.statistics.items()}
        scalars["statistics: of all/repeated_pieces"] = row.repeated
        if row.shared_notes is not None:
            scalars["statistics: of all/shared_notes"] = row.shared_notes
        far = band_distance(row, self.bands)
        if far is not None:
            scalars["statistics: of all/band_distance"] = far
        with tf.device("CPU:0"):
            self._write("generated", scalars, row.epoch)
            with self._writer("generated").as_default(row.epoch):
                chart_piece()
            for run, field in [("mean", "mean"), ("05", "low"), ("95", "high")]:
                if not self.bands:
                    continue
                real = {TAGS[n]: getattr(b, field) for n, b in self.bands.items()}
                self._write(f"real-{run}", real, row.epoch)
        for writer in self._writers.values():
            writer.flush()

    def _write(self, run: str, scalars: Mapping[str, float], step: int) -> None:
        import tensorflow as tf

        with self._writer(run).as_default(step):
            for name, value in scalars.items():
                tf.summary.scalar(name, value)

    def _writer(self, run: str) -> Any:
        import tensorflow as tf

        if run not in self._writers:
            self._writers[run] = tf.summary.create_file_writer(str(self.log_dir / run))
        return self._writers[run]


class EpochSound(EpochSample):
    """Writes what a model of sound composes after each epoch.

    As `EpochSample`, but `epoch-0007.wav` in place of MIDI and piano roll. No notes come back
    from sound, so a row of `statistics.tsv` holds no statistic: it says how many pieces were
    composed, and how many of them repeat an earlier one sample for sample. TensorBoard plays
    the first.
    """

    def __init__(
        self,
        run_dir: str | Path,
        compose: Callable[[int], Sequence[np.ndarray]],
        codec: audio.Codec,
        stage: str = "",
        log_dir: str | Path | None = None,
    ):
        """Makes the callback and its folder.

        Args:
          run_dir: the run's folder.
          compose: epoch, 1 is the first, -> one array or more of levels [sample].
          codec: of the levels.
          stage: name of the stage, for the rows.
          log_dir: TensorBoard's folder; run_dir/logs by default.
        """
        super().__init__(run_dir, compose, {}, stage, log_dir)
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


class CollapseAlarm(keras.callbacks.Callback):
    """Warns in words when the composed pieces stay far from real music.

    It looks at polyphony, unique tones and repetitions, where there are bands of them, and at
    pieces that are equal or alike (`collapse.too_alike`): far outside is below 2/3 of the 5th or
    above 3/2 of the 95th percentile of real windows.
    After `epochs` such epochs in a row it says so once, on stderr and in run_dir/alarms.txt,
    and again only when something changes. It reads what `EpochSample` wrote: put it after
    that in the list of callbacks.
    """

    FACTOR = 1.5

    def __init__(self, run_dir: str | Path, bands: Mapping[str, Band], epochs: int = 5):
        """Makes the callback.

        Args:
          run_dir: the run's folder.
          bands: where real windows of the training length lie.
          epochs: how many epochs in a row it takes to warn.

        Raises:
          ValueError: `epochs` is below 1.
        """
        super().__init__()
        if epochs < 1:
            raise ValueError(f"the collapse alarm was given {epochs} epochs; give 1 or more")
        self.run_dir, self.bands, self.epochs = Path(run_dir), bands, epochs

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Warns, if there is something new to say.

        Raises:
          ValueError: there is no row of this epoch.
        """
        rows = read_rows(self.run_dir / GENERATED / STATISTICS_FILE)
        if not rows or rows[-1].epoch != epoch + 1:
            raise ValueError(
                f"there are no statistics of epoch {epoch + 1}; put EpochSample before "
                "CollapseAlarm in the list of callbacks"
            )
        before, now = self._far(rows[:-1]), self._far(rows)
        lines = [text for key, text in now.items() if key not in before]
        lines += [f"{in_words(key[0])}: no longer so" for key in before if key not in now]
        self._say(epoch + 1, lines)

    def _far(self, rows: Sequence[Row]) -> dict[tuple[str, str], str]:
        """Gives what has been far outside in each of the last rows: (name, side) -> sentence."""
        last = rows[-self.epochs :]
        if len(last) < self.epochs:
            return {}
        in_a_row = f"for {self.epochs} epochs in a row"
        found = {}
        for (name, where), advice in ADVICE.items():
            if name not in self.bands:  # Of sound there are none.
                continue
            band = self.bands[name]
            values = [row.statistics[name] for row in last if name in row.statistics]
            sides = [side(value, band, self.FACTOR) for value in values]
            if sides == [where] * self.epochs:
                found[name, where] = (
                    f"{in_words(name)} {number(values[-1])} is far {where} real "
                    f"music's {number(band.low)}..{number(band.high)} {in_a_row}: {advice}"
                )
        if all(row.repeated for row in last):
            found["repeated_pieces", ""] = (
                f"{last[-1].repeated} of {last[-1].pieces} pieces repeat another note for note, "
                f"{in_a_row} some did: {IGNORED_NOISE}"
            )
        if all(too_alike(row) for row in last):
            found["alike_pieces", ""] = (
                f"two pieces share {too_alike(last[-1]):.0%} of their notes, {in_a_row} half or "
                f"more: {IGNORED_NOISE}"
            )
        return found

    def _say(self, epoch: int, texts: Sequence[str]) -> None:
        """Adds lines to alarms.txt; those of this epoch and later are of an older attempt."""
        path = self.run_dir / ALARMS_FILE
        old = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        lines = [line for line in old if _epoch_of(line) < epoch]
        for text in texts:
            print(f"warning: epoch {epoch}: {text}", file=sys.stderr, flush=True)
        lines += [f"epoch {epoch}: {text}" for text in texts]
        if lines != old:
            write_atomically(path, "".join(line + "\n" for line in lines).encode())


def _epoch_of(line: str) -> int:
    """Gives the epoch of a line of alarms.txt, "epoch 7: ..."."""
    return int(line.split(":", 1)[0].removeprefix("epoch "))


class Progress(keras.callbacks.Callback):
    """Prints one line an epoch: losses, speed, and the time left for the whole run.

    Training is one fit() a stage; the epochs of all stages are counted together. The time
    left takes the rest to be as fast as the last ten epochs of this fit(), of which the
    first counts only while there is no other: it traces and compiles.
    """

    def __init__(
        self, total_epochs: int, stage: str = "", clock: Callable[[], float] = time.monotonic
    ):
        """Makes the callback.

        Args:
          total_epochs: epochs of all stages.
          stage: name of the stage, for the lines.
          clock: gives seconds.
        """
        super().__init__()
        self.total_epochs, self.stage, self.clock = total_epochs, stage, clock
        self._ends: list[float] = []
        self._started = self._trained = 0.0
        self._steps = 0

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Starts the clock."""
        self._ends = [self.clock()]

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Starts the epoch's clock."""
        self._started, self._steps = self.clock(), 0

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Counts; `batch` is the last step of a call that ran several."""
        self._trained, self._steps = self.clock(), batch + 1

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Prints the line."""
        self._ends.append(self.clock())
        stage = f" ({self.stage})" if self.stage else ""
        parts = [f"{in_words(name)} {float(value):.4g}" for name, value in (logs or {}).items()]
        if self._steps and self._trained > self._started:
            parts.append(f"{self._steps / (self._trained - self._started):.3g} steps/s")
        left = self._seconds_an_epoch() * (self.total_epochs - epoch - 1)
        parts.append(f"{duration(left)} left")
        print(f"epoch {epoch + 1} of {self.total_epochs}{stage}: {', '.join(parts)}", flush=True)

    def _seconds_an_epoch(self) -> float:
        ends = self._ends[1:] if len(self._ends) > 2 else self._ends
        ends = ends[-11:]
        return (ends[-1] - ends[0]) / (len(ends) - 1)
