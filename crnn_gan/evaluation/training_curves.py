"""Settings, curves of statistics and losses, and alarms of a training run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crnn_gan.evaluation.evaluation import Training
from crnn_gan.metrics.bands import Band, in_words
from crnn_gan.runs.best import (
    BAND_DISTANCE,
    BANDS_FILE,
    HELD_OUT_NATS,
    band_distance,
    read_bands,
)
from crnn_gan.runs.configuration import RunConfig
from crnn_gan.runs.tables import (
    ALARMS_FILE,
    GENERATED,
    LOSSES_FILE,
    STATISTICS_FILE,
    Row,
    read_alarms,
    read_losses,
    read_rows,
)

EXCLUDED = {"model", "data_dir"}  # Flags of the trainer: shown already, and a path.


def read_training(run_dir: Path, epoch: int | None = None) -> Training | None:
    """Reads the settings, curves and alarms of a run. Needs no Keras.

    Args:
      run_dir: of the run.
      epoch: whose held-out likelihood is given; None for none.

    Returns:
      None where no epoch has ended yet. The curves are the losses, the band distance, repeated
      pieces, shared notes, and the statistics; a value that was not measured, or is not finite, is
      None.

    Raises:
      ValueError: not a run directory, or one of its tables is damaged.
    """
    config = RunConfig.read(run_dir)
    bands = read_bands(run_dir) if (run_dir / BANDS_FILE).exists() else {}
    rows = read_rows(run_dir / GENERATED / STATISTICS_FILE)
    measured = {row.epoch: _measured(row, bands) for row in rows}
    losses = {row.epoch: row.losses for row in read_losses(run_dir / GENERATED / LOSSES_FILE)}
    epochs = sorted(measured.keys() | losses.keys())
    if not epochs:
        return None
    alarms = [line for _, line in read_alarms(run_dir / ALARMS_FILE)]
    curves = {**_curves(losses, epochs), **_curves(measured, epochs)}
    nats = None if epoch is None else _finite(losses.get(epoch, {}).get(HELD_OUT_NATS))
    return Training(settings(config), tuple(epochs), curves, tuple(alarms), nats)


def settings(config: RunConfig) -> dict[str, str]:
    """Gives model, data and settings of a run: {name: value in words}."""
    flags = {name: value for name, value in config.training.items() if name not in EXCLUDED}
    named = {
        "model": config.model,
        "data": config.data.get("name", ""),
        "codec": _fields(config.codec),
        **config.config,
        **flags,
        "versions": _fields(config.versions),
    }
    return {name: _value(value) for name, value in named.items()}


def _fields(values: Mapping[str, Any]) -> str:
    """Writes {"name": "note_tuples", "scaling": "unit"} as "note_tuples, scaling unit"."""
    rest = [f"{in_words(n)} {_value(v)}" for n, v in values.items() if n != "name"]
    return ", ".join([*([str(values["name"])] if "name" in values else []), *rest])


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value)) or "not given"
    return "not given" if value in (None, "") else str(value)


def _measured(row: Row, bands: Mapping[str, Band]) -> dict[str, float]:
    found = band_distance(row, bands)
    distance = {} if found is None else {BAND_DISTANCE: found}
    return {**distance, "repeated_pieces": row.repeated, **row.values}


def _curves(
    by_epoch: Mapping[int, Mapping[str, float]], epochs: Sequence[int]
) -> dict[str, tuple[float | None, ...]]:
    names = list(dict.fromkeys(name for values in by_epoch.values() for name in values))
    return {
        name: tuple(_finite(by_epoch.get(epoch, {}).get(name)) for epoch in epochs)
        for name in names
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
