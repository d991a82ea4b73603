"""What the epochs of a run can be compared by, the values of --best_by."""

from __future__ import annotations

from crnn_gan import metrics
from pipelines.settings import UsageError

BAND_DISTANCE = "band_distance"
HELD_OUT_NATS = "held_out_nats"  # A column of losses.tsv: mean nats of a step of held-out music.


def refuse_unknown(by: str) -> None:
    """Refuses what no epochs can be compared by; "" is for not comparing.

    Raises:
      UsageError: it is neither a statistic nor "band_distance" nor "held_out_nats".
    """
    names = [statistic.name for statistic in metrics.STATISTICS]
    if by not in ("", BAND_DISTANCE, HELD_OUT_NATS, *names):
        raise UsageError(
            f"--best_by={by} is not known; give {BAND_DISTANCE}, one of the statistics "
            f"({', '.join(names)}), {HELD_OUT_NATS} of a model that measures likelihood, or "
            "nothing (--best_by=) to keep the newest only"
        )
