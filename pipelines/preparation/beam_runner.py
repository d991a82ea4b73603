"""Jobs on Apache Beam: the functions that the process pool runs, on any of Beam's runners.

A job writes its results in files, so every worker must see the same paths, and have this
package installed. Beam does a job again that failed, and may do one twice at once; both
write the same bytes and rename them into place. A piece of music that kills its worker
ends the pipeline: only the pool finds out which one it was.
"""

from __future__ import annotations

import pickle
import shlex
from collections.abc import Callable, Sequence
from typing import Any, Self

from pipelines.preparation.pool import AnyJob

INSTALL = (
    "--runner=beam needs Apache Beam, which is not installed here; run: pip install "
    "'crnn-gan[beam]', best in an environment of its own, since Beam needs protobuf below 7; or "
    "leave it at --runner=pool"
)


class Beam:
    """Apache Beam. See `pool.Runner`.

    Args:
      options: pipeline options of Beam, as on a command line. Without --runner among them
        Beam's DirectRunner works in processes of this machine.
      workers: number of processes of the DirectRunner.

    Raises:
      ValueError: Beam is not installed, or does not know an option.
    """

    def __init__(self, options: str, workers: int) -> None:
        try:
            from apache_beam.options.pipeline_options import PipelineOptions
        except ImportError as error:
            raise ValueError(INSTALL) from error
        arguments = shlex.split(options)
        if not any(argument.startswith("--runner") for argument in arguments):
            arguments += ["--runner=DirectRunner", f"--direct_num_workers={workers}"]
            arguments += ["--direct_running_mode=multi_processing"]
        self._options = PipelineOptions(arguments)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def start(self, example: Any) -> None:
        """Does nothing: Beam starts its workers with a pipeline."""

    def run(
        self, function: Callable[[AnyJob], None], jobs: Sequence[AnyJob], doing: str
    ) -> list[AnyJob]:
        """See `pool.Runner.run`; no job is ever given back."""
        if not jobs:
            return []
        import apache_beam

        print(f"{doing}: {len(jobs)} jobs on Beam", flush=True)
        # Packed here, so that none of Beam's coders need know what a job is.
        packed = [pickle.dumps((function, job)) for job in jobs]
        try:
            with apache_beam.Pipeline(options=self._options) as pipeline:
                elements = pipeline | "jobs" >> apache_beam.Create(packed)
                spread = elements | "spread" >> apache_beam.Reshuffle()
                spread | doing >> apache_beam.Map(_do)
        except RuntimeError as error:  # What a job raises comes back in the text of one.
            raise OSError(f"the Beam pipeline ended while {doing}: {error}") from error
        return []


def _do(packed: bytes) -> None:
    """Does a job. In a worker."""
    function: Callable[[Any], None]
    function, job = pickle.loads(packed)
    function(job)
