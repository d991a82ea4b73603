"""Writes what a run writes, in no time: for tests of what sweeps over it.

Pieces are as far from real music as the learning rate is from 0.01, less so from epoch to
epoch; above 0.5 they collapse, of 0.4 the losses are not finite, 0.3 cannot be trained; 0.25 takes
long for an epoch, and half a second to stop.
"""

import json
import signal
import sys
import time
from pathlib import Path

from crnn_gan.metrics.bands import Band, to_json
from crnn_gan.runs.tables import Losses, Row, write_losses, write_rows

flags = dict(word.removeprefix("--").split("=", 1) for word in sys.argv[1:] if "=" in word)
run_dir, rate = Path(flags["run_dir"]), float(flags["learning_rate"])
if rate == 0.3:
    print("error: the data are gone")
    sys.exit(1)
if rate == 0.4:
    print("error: the phase 'generator' gave no finite update 20 times in a row")
    sys.exit(1)


def stop(number, frame):
    """Stops as the trainer does, at the end of a batch."""
    signal.signal(number, signal.SIG_DFL)
    time.sleep(0.5)
    (run_dir / "stopped.txt").write_text("by itself")
    sys.exit(128 + number)


generated = run_dir / "generated_data"
for folder in (generated, run_dir / "checkpoints"):
    folder.mkdir(parents=True, exist_ok=True)
band = {name: Band(10.0, 8.0, 10.0, 12.0) for name in ("unique_tones", "tone_span")}
(run_dir / "bands.json").write_text(json.dumps(to_json(band)))
(run_dir / "config.json").write_text("{}")
done = len(list((run_dir / "checkpoints").iterdir()))
with (run_dir / "started.txt").open("a") as file:
    file.write(f"{done}\n")
for last in range(done + 1, int(flags["max_epoch"]) + 1):
    if rate == 0.25:
        signal.signal(signal.SIGTERM, stop)
        (run_dir / "waits").touch()
        time.sleep(60)
    time.sleep(0.15)
    far = abs(rate - 0.01) * 20 / last
    tones = 1.0 if rate > 0.5 else 10.0
    rows = [
        Row(epoch, "", 8, 0, {"unique_tones": tones, "tone_span": 10 + far * last / epoch})
        for epoch in range(1, last + 1)
    ]
    write_rows(generated / "statistics.tsv", rows)
    losses = [Losses(epoch, "", {"side_loss": far * last / epoch}) for epoch in range(1, last + 1)]
    write_losses(generated / "losses.tsv", losses)
    (run_dir / "checkpoints" / f"epoch-{last:06d}").mkdir()
