"""Trains a model on prepared data; a run directory that holds the run already goes on."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from crnn_gan.autoregressive.held_out import held_out_likelihood
from crnn_gan.metrics import bands
from crnn_gan.metrics.bands import Band
from crnn_gan.runs import best, callbacks, checkpoint, guard, tables
from crnn_gan.runs.collapse_alarm import CollapseAlarm
from crnn_gan.runs.configuration import LOCK, require_same_run
from crnn_gan.runs.epoch_pieces import array_generator, score_generator
from crnn_gan.runs.progress import Progress
from crnn_gan.runs.trainer_flags import TrainerFlags, resolved, run_config_of
from crnn_gan.training.phases import make_deterministic
from pipelines import dataset, records, stopping
from pipelines.atomic_file import write_atomically
from pipelines.batches import augmentation
from pipelines.codecs import audio
from pipelines.codecs.codec import Codec
from pipelines.dataset import Pieces, Shards, Windows
from pipelines.file_lock import held
from pipelines.leftovers import remove_leftovers
from pipelines.settings import UsageError

if TYPE_CHECKING:
    from crnn_gan.music_model import MusicModel

REFERENCE_WINDOWS = 400  # Real windows behind the bands of real music.
ADAPTING_BATCHES = 32  # Of training windows, that a model measures before the first epoch.


@dataset.faults_in_words()
def train(flags: TrainerFlags, config: Any) -> MusicModel:
    """Trains or resumes a run to its last epoch.

    Args:
      flags: the trainer's settings.
      config: the model's Config.

    Returns:
      The trained model.

    Raises:
      ValueError: data that is missing or does not fit, a run directory of another run, or one
        that another process trains.
      CheckpointError: a checkpoint could not be written.
      TrainingError: too many updates in a row were not finite.
      Stopped: a signal came; see `StopOnSignal`.
    """
    manifest = records.read_manifest(flags.data_dir)
    with _held(Path(flags.run_dir)):
        return _train(flags, config, manifest)


@contextlib.contextmanager
def _held(run_dir: Path) -> Iterator[None]:
    """Holds a run directory, and removes what a killed process left in it.

    One that was made for that is gone if it stays empty.

    Raises:
      ValueError: another process trains it.
    """
    is_new = not run_dir.exists()
    run_dir.mkdir(parents=True, exist_ok=True)
    remedy = "wait until it ends, stop it, or give another --run_dir"
    try:
        with held(run_dir / LOCK, f"another process trains {run_dir}", remedy):
            for folder in (run_dir, run_dir / tables.GENERATED):
                remove_leftovers(folder)
            yield
    finally:
        if is_new:
            with contextlib.suppress(OSError):
                run_dir.rmdir()


def _train(flags: TrainerFlags, config: Any, manifest: records.Manifest) -> MusicModel:
    flags, measures_likelihood = resolved(flags, manifest)
    if flags.deterministic:
        make_deterministic(flags.seed)
    run_dir = Path(flags.run_dir)
    run = run_config_of(flags, config, manifest)
    require_same_run(run_dir, run)
    tables.require_readable(run_dir)
    pieces = dataset.open_pieces(
        flags.data_dir, "train", flags.composer, flags.works_per_composer, flags.memory_megabytes
    )
    codec = run.build_codec()
    _require_statistics(flags, codec)
    model = run.build_model()
    windows = _windows(flags, model, codec, pieces)
    measure = _held_out_measure(flags, model, codec) if measures_likelihood else None
    run.write(run_dir)
    real = _real_bands(codec, pieces, model, flags.seed)
    text = json.dumps(bands.to_json(real), indent=1) + "\n"
    write_atomically(run_dir / best.BANDS_FILE, text.encode())
    done = checkpoint.restore(run_dir, model)
    trainer = _Trainer(run_dir, flags, model, codec, windows, real, measure)
    trainer.introduce(done)
    if not done:
        model.adapt(trainer.first_batches())
    with stopping.deferred("at the end of this batch, or when this epoch's files are written"):
        trainer.fit(done)
        stopping.check(lambda: " when all epochs were trained; their checkpoints stay")
    chosen = trainer.best_of(checkpoint.epochs(run_dir))
    if chosen is not None:
        how = "--checkpoint=best takes it when sampling or exporting"
        print(f"{chosen}: epoch {chosen.epoch}; {how}", flush=True)
    return model


def _require_statistics(flags: TrainerFlags, codec: Codec) -> None:
    """Refuses to choose the best epoch by notes where there are none.

    Raises:
      UsageError: there are none.
    """
    if flags.best_by not in ("", best.HELD_OUT_NATS) and not codec.gives_scores:
        raise UsageError(
            f"the data holds sound (codec {codec.name}), of which no statistics of notes are made, "
            f"so no epoch can be the best by {flags.best_by}: give "
            f"--best_by={best.HELD_OUT_NATS} of a model that measures likelihood, or --best_by="
        )


def _windows(
    flags: TrainerFlags, model: MusicModel, codec: Codec, pieces: Pieces | Shards
) -> Windows:
    return dataset.Windows(
        pieces,
        model.window_steps,
        model.batch_windows,
        flags.seed,
        flags.windows_per_piece or 1,
        model.transform_of(codec),
        augmentation.Augmentation(codec, flags.transpose_semitones, flags.stretch_percent),
        model.conditions_of(codec),
        model.pads_windows,
        stride=flags.window_stride,
        least_steps=flags.least_steps_per_epoch,
    )


def _held_out_measure(flags: TrainerFlags, model: MusicModel, codec: Codec) -> Callable[[], float]:
    """Gives a function that measures the validation split: held-out nats per step.

    Raises:
      ValueError: there is no music to validate on.
    """
    pieces = dataset.open_pieces(
        flags.data_dir, "validation", memory_megabytes=flags.memory_megabytes
    )
    conditions = model.conditions_of(codec)
    most = flags.held_out_steps or None
    return lambda: held_out_likelihood(model, pieces, conditions, most).nats_per_step


def _real_bands(
    codec: Codec, pieces: Pieces | Shards, model: MusicModel, seed: int
) -> Mapping[str, Band]:
    """Gives the bands of real windows that are as long as generated pieces.

    There are none of sound, nor for a model that generates no pieces.
    """
    if not model.generates or not codec.gives_scores:
        return {}
    scores = codec.require_scores()
    windows = dataset.real_windows(
        pieces,
        REFERENCE_WINDOWS,
        model.piece_steps,
        seed,
        model.pads_windows,
        scores.starts_anywhere,
    )
    return bands.bands([decoded.score for decoded in scores.decode_all(windows)])


@dataclasses.dataclass(frozen=True)
class _Trainer:
    """A run that is ready to train.

    Attributes:
      run_dir, flags, model, codec, windows: of the run.
      bands: of real music.
      measure: gives held-out nats per step; None where they are not measured.
    """

    run_dir: Path
    flags: TrainerFlags
    model: MusicModel
    codec: Codec
    windows: Windows
    bands: Mapping[str, Band]
    measure: Callable[[], float] | None

    def introduce(self, done: int) -> None:
        """Prints what is about to happen and where it goes; `done` epochs are behind it."""
        data, model = self.windows.summary, self.model
        short = f" ({data.too_short} shorter than a window left out)" if data.too_short else ""
        weights = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
        written = self.codec.epoch_files if model.generates else "losses"
        place = "in memory" if self.windows.in_memory else "read from disk as they are needed"
        print(f"run: {self.run_dir} ({written} in {self.run_dir / tables.GENERATED})")
        print(f"data: {data.pieces} pieces{short}, {data.steps_per_epoch} steps an epoch, {place}")
        print(f"model: {model.name}, {weights:,} weights", flush=True)
        if done:
            print(f"going on after epoch {done}", flush=True)

    def first_batches(self) -> Iterator[Mapping[str, Any]]:
        """Gives what a model may measure before the first epoch; made as it is asked for."""
        yield from self.windows.dataset().take(ADAPTING_BATCHES)

    def best_of(self, epochs: Collection[int]) -> best.Best | None:
        """Gives the best of some epochs by the tables on disk; None where none is chosen."""
        if not self.flags.best_by:
            return None
        folder = self.run_dir / tables.GENERATED
        losses = tables.read_losses(folder / tables.LOSSES_FILE)
        rows = tables.read_rows(folder / tables.STATISTICS_FILE)
        return best.choose(rows, self.bands, self.flags.best_by, epochs, losses)

    def fit(self, done: int) -> None:
        """Trains what is left of each stage after `done` epochs, one fit() per stage."""
        charts = callbacks.Charts(self.run_dir / "logs")
        on_pieces = self._callbacks_on_pieces(charts)
        total = sum(stage.epochs for stage in self.model.stages)
        steps, first = self.windows.summary.steps_per_epoch, 0
        every = self.flags.epochs_per_checkpoint
        for stage in self.model.stages:
            first, last = max(done, first), first + stage.epochs
            if first < last:
                self.model.enter(stage)
                self.model.fit(
                    self.windows.dataset(first * steps),
                    initial_epoch=first,
                    epochs=last,
                    steps_per_epoch=steps,
                    shuffle=False,
                    verbose="auto" if sys.stdout.isatty() else 0,
                    callbacks=[
                        guard.EpochSchedule(),
                        guard.StopOnNaN(),
                        *([callbacks.HeldOutLikelihood(self.measure)] if self.measure else []),
                        callbacks.EpochLosses(self.run_dir, stage.name, charts),
                        *on_pieces(stage.name),
                        guard.SaveCheckpoint(self.run_dir, every, total, self.best_of),
                        Progress(total, stage.name),
                        guard.StopOnSignal(self.run_dir),
                    ],
                )
            first = last

    def _callbacks_on_pieces(
        self, charts: callbacks.Charts
    ) -> Callable[[str], list[keras.callbacks.Callback]]:
        """Gives a function from a stage's name to what generates and looks at pieces."""
        if not self.model.generates:
            return lambda stage: []
        model, run_dir = self.model, self.run_dir
        count, length, seed = self.flags.samples_per_epoch, model.piece_steps, self.flags.seed
        alarm = CollapseAlarm(run_dir, self.bands)
        if isinstance(self.codec, audio.Codec):
            sounds, codec = array_generator(model, count, length, seed), self.codec
            return lambda stage: [
                callbacks.EpochSound(run_dir, sounds, codec, stage, charts),
                alarm,
            ]
        scores = score_generator(model, self.codec.require_scores(), count, length, seed)
        return lambda stage: [
            callbacks.EpochSample(run_dir, scores, self.bands, stage, charts),
            alarm,
        ]
