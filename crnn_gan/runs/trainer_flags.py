"""The trainer's flags: what they leave open is decided, and they are written to config.json."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from crnn_gan.runs.configuration import RunConfig, automatic_precision, versions
from crnn_gan.runs.criteria import BAND_DISTANCE, HELD_OUT_NATS
from crnn_gan.runs.trainer_settings import TrainerFlags
from pipelines.records import Manifest
from pipelines.settings import UsageError


def resolved(flags: TrainerFlags, manifest: Manifest) -> tuple[TrainerFlags, bool]:
    """Gives the flags with what they leave to us decided, and whether likelihood is measured.

    Raises:
      UsageError: the best epoch is to be chosen by likelihood, which cannot be measured.
    """
    from crnn_gan.models.registry import model_class

    cls = model_class(flags.model)
    measurable = cls.measures_likelihood_of(manifest.spec)
    likelihood = measurable and manifest.split("validation")["pieces"] > 0
    if measurable and not likelihood:
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
