"""Lays the statistics of many generated pieces beside the bands of real music.

    python benchmarks/quality.py --run_dir=train/RUN [--count=100] [--temperature=1.0]

Prints generated mean, real mean and the 5th to 95th percentile of real windows of the same
length, and how many pieces are equal. Ends with status 1 when one of polyphony, scale
consistency, tone span or unique tones lies outside, or two pieces are equal.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from pathlib import Path

from crnn_gan import sample
from crnn_gan.metrics import statistics
from crnn_gan.metrics.bands import mean_statistics, side, table
from crnn_gan.metrics.originality import repeated_pieces
from crnn_gan.statistics import read_bands, read_pieces
from pipelines.command_line import flag, parse, run_command

JUDGED = ("polyphony", "scale_consistency", "tone_span", "unique_tones")


@dataclasses.dataclass(frozen=True)
class Flags:
    """What to judge."""

    run_dir: str = flag(help="the run")
    count: int = flag(100, "pieces, of the training length")
    seed: int = flag(1000, "seed of the first")
    temperature: float = flag(1.0, "of sampling")


def main(argv: list[str]) -> None:
    """Samples, measures, prints.

    Raises:
      ValueError: a judged statistic lies outside, or two pieces are equal.
    """
    [flags] = parse(argv, __doc__ or "", Flags)
    with tempfile.TemporaryDirectory() as folder:
        sample.main(
            [
                f"--run_dir={flags.run_dir}",
                f"--count={flags.count}",
                f"--seed={flags.seed}",
                f"--temperature={flags.temperature}",
                f"--out_dir={folder}",
            ]
        )
        scores, _ = read_pieces(Path(folder))
    bands = read_bands(Path(flags.run_dir))
    rows = [statistics(score) for score in scores]
    print(table(rows, bands))
    means, repeated = mean_statistics(rows), repeated_pieces(scores)
    print(f"pieces equal to another: {repeated} of {len(scores)}")
    outside = [name for name in JUDGED if side(means[name], bands[name])]
    if outside or repeated:
        raise ValueError(f"outside the band: {', '.join(outside) or 'none'}; equal: {repeated}")


if __name__ == "__main__":
    sys.exit(run_command(main))
