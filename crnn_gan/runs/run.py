"""A trained run: loaded, as a sampler, and exported as a SavedModel."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from crnn_gan.generation.card import DataSource, card_text
from crnn_gan.generation.excerpt import Excerpt
from crnn_gan.generation.interface import Interface
from crnn_gan.runs.best import BANDS_FILE, HELD_OUT_NATS, read_bands
from crnn_gan.runs.configuration import FILE, RunConfig
from crnn_gan.runs.tables import GENERATED, LOSSES_FILE, STATISTICS_FILE, read_losses, read_rows
from pipelines.codecs.codec import Codec
from pipelines.json_schema import object_of

if TYPE_CHECKING:  # TensorFlow and Keras are slow to import, and a wrong flag needs neither.
    from crnn_gan.generation.saved_model import Sampler
    from crnn_gan.music_model import MusicModel


@dataclasses.dataclass(frozen=True)
class Run:
    """A trained run: its configuration, codec and model with the weights of a checkpoint.

    Attributes:
      config, codec, model: of the run.
      epoch: after which the weights are those.
      chosen: how that was chosen, in words: "the newest", for example.
    """

    config: RunConfig
    codec: Codec
    model: MusicModel
    epoch: int
    chosen: str


def load_run(run_dir: Path, which: str = "newest") -> Run:
    """Builds the model of a run, in float32, with the weights of a checkpoint.

    Args:
      run_dir: of the run.
      which: "newest", "best" or an epoch; see `checkpoint.restore_weights`.

    Raises:
      ValueError: not a run directory, or it has no such checkpoint.
      CheckpointError: the checkpoint is damaged, or of another model.
    """
    from crnn_gan.runs import checkpoint  # Imports Keras.

    config = RunConfig.read(run_dir)
    config.settings(run_dir / FILE)
    model = config.build_model("float32")
    restored = checkpoint.restore_weights(run_dir, model, which)
    model.take_averages()
    return Run(config, config.build_codec(), model, restored.epoch, restored.chosen)


def interface_of_run(run_dir: Path) -> Interface:
    """Gives what a run's model takes, before the model is built.

    Raises:
      ValueError: not a run directory.
    """
    config = RunConfig.read(run_dir)
    use_tensorflow()
    from crnn_gan.models.registry import model_class

    cls, settings = model_class(config.model), config.settings(run_dir / FILE)
    controls = cls.controls_for(settings, config.spec)
    length = cls.piece_steps_for(settings, config.spec)
    return Interface.of(controls, config.build_codec(), length, cls.continues)


def sampler_of_run(
    run_dir: Path, checkpoint: str = "newest", excerpt: Excerpt | None = None
) -> tuple[Run, Sampler]:
    """Gives a run and a sampler with the weights of a checkpoint.

    Args:
      run_dir: of the run.
      checkpoint: "newest", "best" or an epoch; see `checkpoint.restore_weights`.
      excerpt: steps of each piece that it gives; None for all.

    Raises:
      ValueError: not a run directory, or one without such a checkpoint.
    """
    use_tensorflow()
    from crnn_gan.generation import saved_model

    run = load_run(run_dir, checkpoint)
    return run, saved_model.build(run.model, run.codec, run.model.piece_steps, excerpt)


def export_run(run_dir: Path, export_dir: Path, checkpoint: str = "newest") -> Path:
    """Exports a run; gives the directory of the exported model.

    Args:
      run_dir: of the run.
      export_dir: of the exported model.
      checkpoint: "newest", "best" or an epoch; see `checkpoint.restore_weights`.

    Raises:
      ValueError: not a run directory, one without such a checkpoint, or `export_dir` is
        something else than an exported model.
      OSError: it cannot be written.
    """
    config = RunConfig.read(run_dir)  # Says what is wrong before TensorFlow is loaded.
    use_tensorflow()
    from crnn_gan.generation import saved_model

    saved_model.refuse_target(export_dir)
    run, sampler = sampler_of_run(run_dir, checkpoint)
    card = card_of_run(export_dir.resolve().name, run_dir, run, sampler)
    exported = dataclasses.replace(config, epoch=run.epoch, chosen=run.chosen)
    saved_model.save(sampler, export_dir, exported.to_json(), card)
    return export_dir


def use_tensorflow() -> None:
    """Makes Keras take TensorFlow, which does all sampling and exporting.

    Raises:
      ValueError: Keras has already been imported with another backend.
    """
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"Keras is on {keras.backend.backend()} in this process; a model is sampled and "
            "exported from TensorFlow: set KERAS_BACKEND=tensorflow before Keras is imported"
        )


def card_of_run(name: str, run_dir: Path, run: Run, sampler: Sampler) -> str:
    """Gives the card of a run's model, Markdown, under the name it is or would be exported as."""
    config, source = run.config, run.config.data
    known = {field.name for field in dataclasses.fields(DataSource)}
    stated = {key: value for key, value in source.items() if key in known}
    learned = object_of(DataSource, stated, "config.json: data")
    figures = _figures(run_dir, run.epoch)
    weights = f"those after epoch {run.epoch} of the run {run_dir.resolve().name}, {run.chosen}"
    return card_text(
        name, config.model, run.codec.name, sampler.interface, learned, figures, weights
    )


def _figures(run_dir: Path, epoch: int) -> dict[str, str]:
    """Gives what was measured after an epoch: of held-out music, and of pieces beside real ones."""
    likelihood = {}
    for row in read_losses(run_dir / GENERATED / LOSSES_FILE):
        if row.epoch == epoch and HELD_OUT_NATS in row.losses:
            likelihood[HELD_OUT_NATS] = (
                f"{row.losses[HELD_OUT_NATS]:.4f} (nats per step of the validation split, each "
                f"given all before it in its piece, measured after epoch {epoch} of training)"
            )
    rows = [r for r in read_rows(run_dir / GENERATED / STATISTICS_FILE) if r.epoch == epoch]
    if not rows or not (run_dir / BANDS_FILE).exists():  # Trained without samples: neither.
        return likelihood
    real = read_bands(run_dir)
    return likelihood | {
        name: f"{value:.3g} (mean of {rows[0].pieces} pieces of the training length, generated "
        f"after epoch {epoch}; windows of the training data: mean {real[name].mean:.3g}, "
        f"5 % to 95 % {real[name].low:.3g} to {real[name].high:.3g})"
        for name, value in rows[0].statistics.items()
        if name in real
    }
