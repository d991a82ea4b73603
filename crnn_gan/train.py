"""Trains a model on prepared data; started again with the same flags, it goes on."""

from __future__ import annotations

import sys

from crnn_gan.runs import presets
from crnn_gan.runs.trainer_flags import TrainerFlags
from pipelines.command_line import parse, peek, run_command

USAGE = """python -m crnn_gan.train --model=NAME --data_dir=DIR --run_dir=DIR [settings]

Trains a model on what `python -m pipelines.prepare` made. The run directory gets
config.json, checkpoints (the newest two and the best), TensorBoard logs and, in
generated_data, a MIDI file, its piano roll, losses and statistics each epoch; of text the tune as
well, of sound a WAV file in their place. The same command again resumes the run."""


def main(argv: list[str]) -> None:
    """Trains by a command line."""
    from crnn_gan.models.registry import config_class, model_class

    name = peek(argv, "model", "c_rnn_gan")
    cls = model_class(name)
    argv = presets.expanded(argv, cls.presets)
    flags, config = parse(
        argv, USAGE, TrainerFlags, config_class(name), aliases=cls.aliases, retired=cls.retired
    )
    from crnn_gan.runs.trainer import train

    train(flags, config)


def train(flags: Flags, config: Any) -> MusicModel:
    """Trains or resumes a run to its last epoch.

    Args:
      flags: the trainer's settings.
      config: the model's Config.

    Returns:
      The trained model.

    Raises:
      ValueError: data that is missing or does not fit, or a run directory of another run.
      CheckpointError: a checkpoint could not be written.
      TrainingError: too many updates in a row were not finite.
    """
    from crnn_gan.runs import checkpoint
    from crnn_gan.training.phases import make_deterministic
    from pipelines import dataset, records
    from pipelines.batches import augmentation

    manifest = records.read_manifest(flags.data_dir)
    flags, likelihood = resolved(flags, manifest)
    if flags.deterministic:
        make_deterministic(flags.seed)
    run_dir = Path(flags.run_dir)
    run = _run_config(flags, config, manifest)
    _agree(run_dir, run)
    pieces = dataset.open_pieces(
        flags.data_dir, "train", flags.composer, flags.works_per_composer, flags.memory_megabytes
    )
    codec = run.build_codec()
    _refuse_statistics_of_sound(flags, codec)
    model = run.build_model()
    windows = dataset.Windows(
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
    )
    measure = _held_out_measure(flags, model, codec) if likelihood else None
    run_dir.mkdir(parents=True, exist_ok=True)
    run.write(run_dir)
    bands = _write_bands(run_dir, codec, pieces, model, flags.seed)
    done = checkpoint.restore(run_dir, model)
    _introduce(run_dir, model, codec, windows, done)
    if not done:
        model.adapt(_first_batches(windows))
    choose = _chooser(run_dir, bands, flags.best_by)
    _fit(run_dir, flags, model, codec, windows, bands, done, choose, measure)
    _say_best(choose(checkpoint.epochs(run_dir)))
    return model


def resolved(flags: Flags, manifest: Manifest) -> tuple[Flags, bool]:
    """Gives the flags with what they leave to us decided, and whether likelihood is measured.

    Raises:
      UsageError: the best epoch is to be chosen by likelihood, which cannot be measured.
    """
    from crnn_gan.models.registry import model_class
    from crnn_gan.runs import best
    from crnn_gan.runs.configuration import automatic_precision

    cls = model_class(flags.model)
    likelihood = cls.measures_likelihood and manifest.splits["validation"]["pieces"] > 0
    if cls.measures_likelihood and not likelihood:
        print(
            "note: the validation split is empty, so no likelihood of held-out music is measured: "
            "prepare more music, or with a larger --validation_fraction",
            flush=True,
        )
    if flags.precision == "auto":
        flags = dataclasses.replace(flags, precision=automatic_precision())
    if flags.windows_per_piece is None:
        flags = dataclasses.replace(flags, windows_per_piece=1 if cls.pads_windows else 20)
    if flags.best_by == "auto":
        by = best.HELD_OUT_NATS if likelihood else best.BAND_DISTANCE
        flags = dataclasses.replace(flags, best_by=by)
    if flags.best_by == best.HELD_OUT_NATS and not likelihood:
        raise UsageError(
            f"{flags.model} measures no likelihood of this data; give another --best_by"
        )
    return flags, likelihood


def _run_config(flags: Flags, config: Any, manifest: Manifest) -> RunConfig:
    """Gives what config.json will hold of a run."""
    from crnn_gan.runs.configuration import RunConfig, versions

    training = _plain(flags)
    del training["run_dir"]  # A run directory may be moved.
    return RunConfig(
        model=flags.model,
        config=_plain(config),
        codec=manifest.codec,
        spec=manifest.spec,
        training=training,
        data={"configuration": manifest.configuration, **manifest.source},
        versions=versions(),
    )


def _plain(settings: Any) -> dict[str, Any]:
    """Gives the fields of a dataclass as they come back from a file: lists in place of tuples."""
    found: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(settings)))
    return found


def _agree(run_dir: Path, run: RunConfig) -> None:
    """Checks that a directory that already holds a run holds this one.

    Raises:
      ValueError: it holds a run with other settings, which are named.
    """
    from crnn_gan.runs.configuration import FILE, RunConfig

    if not (run_dir / FILE).exists():
        if run_dir.exists() and any(run_dir.iterdir()):
            raise ValueError(
                f"{run_dir} is not empty and holds no run; give a new directory as --run_dir"
            )
        return
    old = RunConfig.read(run_dir)
    if old.model != run.model:
        raise ValueError(
            f"{run_dir} holds a run of the model {old.model}, not {run.model}; give another "
            "--run_dir"
        )
    different = [
        f"{name} is {before.get(name)!r} there and {now.get(name)!r} here"
        for before, now in (
            (old.config, run.config),
            (old.training, run.training),
            ({"codec": old.codec}, {"codec": run.codec}),
            ({"data": old.data["configuration"]}, {"data": run.data["configuration"]}),
        )
        for name in sorted(before.keys() | now.keys())
        if name not in MAY_CHANGE | {"data_dir", "preset"} and before.get(name) != now.get(name)
    ]
    if different:
        raise ValueError(
            f"{run_dir} holds a run with other settings: {'; '.join(different)}. Give the same "
            "ones to go on with it, or another --run_dir"
        )


def _refuse_statistics_of_sound(flags: Flags, codec: Codec) -> None:
    """Refuses to choose the best epoch by notes where there are none.

    Raises:
      UsageError: there are none.
    """
    from crnn_gan.runs.best import HELD_OUT_NATS
    from pipelines.codecs.codec import ScoreCodec

    if flags.best_by not in ("", HELD_OUT_NATS) and not isinstance(codec, ScoreCodec):
        raise UsageError(
            f"the data holds sound (codec {codec.name}), of which no statistics of notes are made, "
            f"so no epoch can be the best by {flags.best_by}: give --best_by={HELD_OUT_NATS} of a "
            "model that measures likelihood, or --best_by="
        )


def _held_out_measure(flags: Flags, model: MusicModel, codec: Codec) -> Callable[[], float]:
    """Gives a function that measures the mean nats of a step of the validation split.

    Raises:
      ValueError: there is no music to validate on.
    """
    from crnn_gan.autoregressive.held_out import held_out_likelihood
    from pipelines import dataset

    pieces = dataset.open_pieces(
        flags.data_dir, "validation", memory_megabytes=flags.memory_megabytes
    )
    conditions = model.conditions_of(codec)
    most = flags.held_out_steps or None
    return lambda: held_out_likelihood(model, pieces, conditions, most).nats_per_step


def _write_bands(
    run_dir: Path, codec: Codec, pieces: Pieces | Shards, model: MusicModel, seed: int
) -> Mapping[str, Band]:
    """Measures real windows and writes run_dir/bands.json: no bands of sound."""
    from crnn_gan.metrics import bands
    from crnn_gan.runs.best import BANDS_FILE
    from pipelines import dataset
    from pipelines.codecs.codec import ScoreCodec

    found: Mapping[str, Band] = {}
    if isinstance(codec, ScoreCodec):
        windows = dataset.real_windows(
            pieces,
            REFERENCE_WINDOWS,
            model.piece_steps,
            seed,
            model.pads_windows,
            codec.starts_anywhere,
        )
        found = bands.bands([decoded.score for decoded in codec.decode_all(windows)])
    text = json.dumps(bands.to_json(found), indent=1) + "\n"
    write_atomically(run_dir / BANDS_FILE, text.encode())
    return found


def _first_batches(windows: Windows) -> Iterator[Mapping[str, Any]]:
    """Gives what a model may measure before the first epoch; nothing is made unless it asks."""
    yield from windows.dataset().take(ADAPTING_BATCHES)


def _introduce(run_dir: Path, model: MusicModel, codec: Codec, windows: Windows, done: int) -> None:
    """Says on the console what is about to happen and where it goes."""
    from pipelines.codecs.codec import ScoreCodec

    made_of = windows.summary
    short = f" ({made_of.too_short} shorter than a window left out)" if made_of.too_short else ""
    weights = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    written = "MIDI, piano rolls and statistics" if isinstance(codec, ScoreCodec) else "WAV files"
    print(f"run: {run_dir} ({written} in {run_dir / 'generated_data'})")
    place = "in memory" if windows.in_memory else "read from disk as they are needed"
    print(
        f"data: {made_of.pieces} pieces{short}, {made_of.steps_per_epoch} steps an epoch, {place}"
    )
    print(f"model: {model.name}, {weights:,} weights", flush=True)
    if done:
        print(f"going on after epoch {done}", flush=True)


def composer_of(
    model: MusicModel, codec: ScoreCodec, count: int, length: int, seed: int
) -> Callable[[int], list[Score]]:
    """Gives a function that composes `count` Scores; see `array_composer`."""
    compose = array_composer(model, count, length, seed)
    return lambda epoch: [decoded.score for decoded in codec.decode_all(compose(epoch))]


def array_composer(
    model: MusicModel, count: int, length: int, seed: int
) -> Callable[[int], list[np.ndarray]]:
    """Gives a function that composes `count` pieces of `length` steps with the model as it is.

    They are arrays as the model's spec says. The seeds are the same at each call, so that one
    can hear a piece grow. Draws nothing from the model's own random numbers.
    """
    from crnn_gan.generation.noise import draw_numpy

    noise = draw_numpy(model.noise_spec(count, length), np.arange(seed, seed + count))
    controls = {
        name: np.full((count, *np.shape(control.default)), control.default, control.dtype)
        for name, control in model.controls.items()
    }

    def compose(epoch: int) -> list[np.ndarray]:
        return list(np.asarray(model.predict_on_batch({"noise": noise, "controls": controls})))

    return compose


def _epoch_sample(
    run_dir: Path, flags: Flags, model: MusicModel, codec: Codec, bands: Mapping[str, Band]
) -> Callable[[str], Any]:
    """Gives a function from a stage's name to what writes the pieces composed after its epochs."""
    from crnn_gan.runs import callbacks
    from pipelines.codecs import audio
    from pipelines.codecs.codec import score_codec

    count, length, seed = flags.samples_per_epoch, model.piece_steps, flags.seed
    if isinstance(codec, audio.Codec):
        sounds = array_composer(model, count, length, seed)
        return lambda stage: callbacks.EpochSound(run_dir, sounds, codec, stage)
    scores = composer_of(model, score_codec(codec), count, length, seed)
    return lambda stage: callbacks.EpochSample(run_dir, scores, bands, stage)


def _chooser(
    run_dir: Path, bands: Mapping[str, Band], by: str
) -> Callable[[Collection[int]], Best | None]:
    """Gives a function from epochs to the best of them by the rows on disk; None if by nothing."""
    from crnn_gan.runs import best, tables

    folder = run_dir / tables.GENERATED

    def choose(epochs: Collection[int]) -> Best | None:
        if not by:
            return None
        losses = tables.read_losses(folder / tables.LOSSES_FILE)
        return best.choose(
            tables.read_rows(folder / tables.STATISTICS_FILE), bands, by, epochs, losses
        )

    return choose


def _say_best(best: Best | None) -> None:
    if best is not None:
        print(
            f"{best}: epoch {best.epoch}; --checkpoint=best takes it when sampling or exporting",
            flush=True,
        )


def _fit(
    run_dir: Path,
    flags: Flags,
    model: MusicModel,
    codec: Codec,
    windows: Windows,
    bands: Mapping[str, Band],
    done: int,
    choose: Callable[[Collection[int]], Best | None],
    measure: Callable[[], float] | None,
) -> None:
    """Runs what is left of each stage, one fit() a stage."""
    from crnn_gan.runs import callbacks, guard

    epoch_sample = _epoch_sample(run_dir, flags, model, codec, bands)
    total = sum(stage.epochs for stage in model.stages)
    steps, first = windows.summary.steps_per_epoch, 0
    for stage in model.stages:
        first, last = max(done, first), first + stage.epochs
        if first < last:
            model.enter(stage)
            model.fit(
                windows.dataset(first * steps),
                initial_epoch=first,
                epochs=last,
                steps_per_epoch=steps,
                shuffle=False,
                verbose="auto" if sys.stdout.isatty() else 0,
                callbacks=[
                    guard.EpochSchedule(),
                    guard.StopOnNaN(),
                    *([callbacks.HeldOutLikelihood(measure)] if measure else []),
                    epoch_sample(stage.name),
                    callbacks.CollapseAlarm(run_dir, bands),
                    guard.SaveCheckpoint(run_dir, flags.epochs_per_checkpoint, total, choose),
                    callbacks.Progress(total, stage.name),
                ],
            )
        first = last


def run() -> int:
    """Runs the command; gives its exit status."""
    return run_command(main)


if __name__ == "__main__":
    sys.exit(run())
