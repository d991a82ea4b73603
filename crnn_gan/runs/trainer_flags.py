"""The trainer's flags: what they leave open is decided, and they are written to config.json."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Literal

from crnn_gan.runs import presets
from crnn_gan.runs.best import BAND_DISTANCE, HELD_OUT_NATS, refuse_unknown
from crnn_gan.runs.configuration import RunConfig, automatic_precision, versions
from pipelines.records import Manifest
from pipelines.settings import Settings, UsageError, flag


@dataclasses.dataclass(frozen=True)
class TrainerFlags(Settings):
    """Settings of the trainer."""

    model: str = flag("c_rnn_gan", "the model, a file of crnn_gan/models")
    data_dir: str = flag(help="directory made by python -m pipelines.prepare")
    run_dir: str = flag(help="directory of the run; made if it is missing")
    preset: tuple[str, ...] = flag((), presets.HELP)
    composer: tuple[str, ...] = flag((), "train on these composers only, separated by commas")
    works_per_composer: int | None = flag(
        None, "at most so many pieces of each composer", at_least=1
    )
    windows_per_piece: int | None = flag(
        None,
        "random windows of each piece in an epoch, by default 20; for models of likelihood, of "
        "each window's length of it, by default 1",
        at_least=1,
    )
    window_stride: int = flag(
        1,
        "windows begin with a piece or a multiple of so many steps later (4 sixteenths are a "
        "beat), so that a network that is not the same at each step can learn metre",
        at_least=1,
    )
    transpose_semitones: int = flag(
        0, "moves each window by up to so many semitones up or down, at random", at_least=0
    )
    stretch_percent: float = flag(
        0.0,
        "makes each window's times up to so many percent longer or shorter, at random",
        at_least=0,
    )
    memory_megabytes: int = flag(
        1024,
        "megabytes that music may take of memory; more of it is read from disk again and again",
        at_least=1,
    )
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = flag(
        "auto", "auto: mixed_bfloat16 on a GPU, float32 elsewhere"
    )
    seed: int = flag(0, "random seed of the initial weights, windows and noise")
    deterministic: bool = flag(True, "bitwise equal results each time on the same machine")
    epochs_per_checkpoint: int = flag(1, "epochs between checkpoints", at_least=1)
    samples_per_epoch: int = flag(
        16,
        "pieces generated after each epoch for the statistics; the fewer, the more --best_by is "
        "left to chance",
        at_least=1,
    )
    best_by: str = flag(
        "auto",
        "keeps the checkpoint of the epoch whose pieces are nearest to real music in this "
        "statistic, or in all of the paper's (band_distance), or that gives held-out music the "
        "greatest likelihood (held_out_nats); auto: that where the model measures it, else "
        "band_distance; empty: the newest only. Only epochs with a checkpoint can be best",
    )
    held_out_steps: int = flag(
        50_000,
        "steps of the validation split that models of likelihood are measured on after each "
        "epoch: the beginnings of all its pieces; 0: all of it",
        at_least=0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_unknown("" if self.best_by == "auto" else self.best_by)


def resolved(flags: TrainerFlags, manifest: Manifest) -> tuple[TrainerFlags, bool]:
    """Gives the flags with what they leave to us decided, and whether likelihood is measured.

    Raises:
      UsageError: the best epoch is to be chosen by likelihood, which cannot be measured.
    """
    from crnn_gan.models.registry import model_class

    cls = model_class(flags.model)
    likelihood = cls.measures_likelihood and manifest.split("validation")["pieces"] > 0
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
        otherwise = BAND_DISTANCE if cls.generates else ""
        by = HELD_OUT_NATS if likelihood else otherwise
        flags = dataclasses.replace(flags, best_by=by)
    if flags.best_by == HELD_OUT_NATS and not likelihood:
        raise UsageError(
            f"{flags.model} measures no likelihood of this data; give another --best_by"
        )
    return flags, likelihood


def run_config_of(flags: TrainerFlags, config: Any, manifest: Manifest) -> RunConfig:
    """Gives what config.json will hold of a run."""
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
