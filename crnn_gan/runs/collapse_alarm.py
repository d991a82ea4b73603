"""A warning when generated pieces collapse, or their statistics stay far outside real music's."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from crnn_gan.metrics.bands import Band, in_words, number, side
from crnn_gan.runs.collapse import too_alike
from crnn_gan.runs.tables import (
    ALARMS_FILE,
    GENERATED,
    STATISTICS_FILE,
    Row,
    read_alarms,
    read_rows,
)
from pipelines.atomic_file import write_atomically

ADVICE = {  # What it tends to mean that a statistic is far outside real music's band.
    ("polyphony", "below"): "it writes tones one by one; several tones a cell, or more "
    "training, bring chords",
    ("polyphony", "above"): "everything starts together: the generator may have collapsed into "
    "one chord; try a Wasserstein loss or more critic updates a batch",
    ("unique_tones", "below"): "the generator may have collapsed; try a Wasserstein loss, more "
    "critic updates a batch or a lower learning rate for the generator",
    ("unique_tones", "above"): "the tones may be scattered by chance; train longer, or let the "
    "generator learn more slowly",
    ("repetitions", "below"): "nothing comes back; train longer, or on longer songs",
    ("repetitions", "above"): "the generator may be caught in a loop; try a Wasserstein loss or "
    "more critic updates a batch",
}
IGNORED_NOISE = (
    "the generator may ignore its noise; try --r1 or a Wasserstein loss, minibatch discrimination "
    "or more critic updates a batch"
)


class CollapseAlarm(keras.callbacks.Callback):
    """Warns when the statistics of generated pieces stay far outside those of real music.

    It looks at polyphony, unique tones and repetitions, where there are bands of them, and at
    pieces that are equal or alike (`collapse.too_alike`): far outside is below 2/3 of the 5th or
    above 3/2 of the 95th percentile of real windows.
    After `epochs` such epochs in a row it says so once, on stderr and in run_dir/alarms.txt,
    and again only when something changes. It reads what `EpochSample` wrote: put it after
    that in the list of callbacks.
    """

    FACTOR = 1.5

    def __init__(self, run_dir: str | Path, bands: Mapping[str, Band], epochs: int = 5):
        """Makes the callback.

        Args:
          run_dir: the run's folder.
          bands: where real windows of the training length lie.
          epochs: how many epochs in a row it takes to warn.

        Raises:
          ValueError: `epochs` is below 1.
        """
        super().__init__()
        if epochs < 1:
            raise ValueError(f"the collapse alarm was given {epochs} epochs; give 1 or more")
        self.run_dir, self.bands, self.epochs = Path(run_dir), bands, epochs

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Warns, if there is something new to say.

        Raises:
          ValueError: there is no row of this epoch.
        """
        rows = read_rows(self.run_dir / GENERATED / STATISTICS_FILE)
        if not rows or rows[-1].epoch != epoch + 1:
            raise ValueError(
                f"there are no statistics of epoch {epoch + 1}; put EpochSample before "
                "CollapseAlarm in the list of callbacks"
            )
        before, now = self._far(rows[:-1]), self._far(rows)
        lines = [text for key, text in now.items() if key not in before]
        lines += [f"{in_words(key[0])}: no longer so" for key in before if key not in now]
        self._say(epoch + 1, lines)

    def _far(self, rows: Sequence[Row]) -> dict[tuple[str, str], str]:
        """Gives what is far outside the band in each of the last rows: (name, side) -> text."""
        last = rows[-self.epochs :]
        if len(last) < self.epochs:
            return {}
        in_a_row = f"for {self.epochs} epochs in a row"
        found = {}
        for (name, where), advice in ADVICE.items():
            if name not in self.bands:  # Of sound there are none.
                continue
            band = self.bands[name]
            values = [row.statistics[name] for row in last if name in row.statistics]
            sides = [side(value, band, self.FACTOR) for value in values]
            if sides == [where] * self.epochs:
                found[name, where] = (
                    f"{in_words(name)} {number(values[-1])} is far {where} real "
                    f"music's {number(band.low)}..{number(band.high)} {in_a_row}: {advice}"
                )
        if all(row.repeated for row in last):
            found["repeated_pieces", ""] = (
                f"{last[-1].repeated} of {last[-1].pieces} pieces repeat another note for note, "
                f"{in_a_row} some did: {IGNORED_NOISE}"
            )
        if all(too_alike(row) for row in last):
            found["alike_pieces", ""] = (
                f"two pieces share {too_alike(last[-1]):.0%} of their notes, {in_a_row} half or "
                f"more: {IGNORED_NOISE}"
            )
        return found

    def _say(self, epoch: int, texts: Sequence[str]) -> None:
        """Adds lines to alarms.txt; those of this epoch and later are of an older attempt."""
        path = self.run_dir / ALARMS_FILE
        old = read_alarms(path)
        lines = [line for of, line in old if of < epoch]
        for text in texts:
            print(f"warning: epoch {epoch}: {text}", file=sys.stderr, flush=True)
        lines += [f"epoch {epoch}: {text}" for text in texts]
        if lines != [line for _, line in old]:
            write_atomically(path, "".join(line + "\n" for line in lines).encode())
