"""What notation offers, by the name of its former reader, for callers that still use it."""

from pipelines.formats.dynamics import DEFAULT_LEVEL, LEVELS
from pipelines.formats.notation import read
from pipelines.formats.notation_score import ticks_holding

__all__ = ["DEFAULT_LEVEL", "LEVELS", "read", "ticks_holding"]
