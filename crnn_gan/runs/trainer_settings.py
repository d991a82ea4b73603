"""The settings of the trainer: its flags, and the keys of "training" in config.json."""

from __future__ import annotations

import dataclasses
from typing import Literal

from crnn_gan.runs import presets
from crnn_gan.runs.criteria import refuse_unknown
from pipelines.settings import Settings, flag


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
        "random windows in an epoch, as a multiple of the number of pieces, by default 20; for "
        "models whose windows are padded, of the number of windows that cover the music, by "
        "default 1. Longer pieces have more of them, in proportion to their length",
        at_least=1,
    )
    least_steps_per_epoch: int = flag(
        0,
        "training steps in an epoch, at least: of few pieces more windows are drawn than "
        "windows_per_piece says",
        at_least=0,
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
    seed: int = flag(
        0,
        "random seed of the initial weights, windows and noise",
        at_least=0,
        at_most=2**32 - 1,
    )
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
