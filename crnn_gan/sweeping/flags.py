"""The flags of a sweep."""

from __future__ import annotations

import dataclasses
from typing import Literal

from pipelines.settings import Settings, flag


@dataclasses.dataclass(frozen=True)
class Sweep(Settings):
    """Settings of the sweep."""

    sweep_dir: str = flag(help="directory of the sweep; made if it is missing")
    vary: str = flag(help="what differs: 'FLAG=LOW..HIGH [log]; FLAG=VALUE,VALUE'")
    runs: int | None = flag(
        None, "runs in all; by default 12, or all combinations of a grid", at_least=1
    )
    processes: int = flag(2, "runs that are trained at the same time", at_least=1)
    search: Literal["random", "grid", "halving"] = flag(
        "random",
        "random: each run draws its settings; grid: all combinations of lists; halving: random, "
        "and the best one of --halving_factor goes on, for as many times more epochs",
    )
    halving_factor: int = flag(3, "of successive halving: one run of so many goes on", at_least=2)
    sweep_seed: int = flag(0, "random seed of the settings that runs draw")
    patience: int = flag(
        10,
        "epochs in a row with collapsed pieces after which a run is ended; 0: never",
        at_least=0,
    )
