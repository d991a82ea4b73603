"""Child process of a sweep: trains one run, and ends when the sweep does.

python -m crnn_gan.sweeping.child [flags of crnn_gan.train]. The sweep holds the other end of its
standard input: when it closes, because the sweep was killed, the run ends. Otherwise two
processes would train it once the sweep is restarted.
"""

from __future__ import annotations

import os
import runpy
import threading


def _end_with_the_sweep() -> None:
    while os.read(0, 1024):  # Not sys.stdin, whose lock a thread may not hold at the end.
        pass
    os._exit(1)  # Checkpoints are written atomically.


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_sweep, daemon=True).start()
    runpy.run_module("crnn_gan.train", run_name="__main__", alter_sys=True)
