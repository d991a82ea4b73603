"""The findings of an evaluation as files: report.html, metrics.json, piano rolls as pictures."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path

from crnn_gan.evaluation.evaluation import Evaluation
from crnn_gan.rendering import piano_roll_plot
from crnn_gan.report import page
from pipelines.atomic_file import write_atomically
from pipelines.file_lock import locked
from pipelines.leftovers import remove_leftovers
from pipelines.score import Score
from pipelines.settings import UsageError

REPORT, METRICS, PIANO_ROLLS = "report.html", "metrics.json", "piano_rolls"
LONGEST_NAME = 200  # Bytes; a file system takes 255, and a file being written has a longer name.


def write_findings(
    evaluation: Evaluation, scores: Sequence[Score], out_dir: Path, shown: int = 50
) -> None:
    """Writes metrics.json, the piano rolls and report.html, each whole or not at all.

    Args:
      evaluation: what was found.
      scores: the pieces, in the order of `evaluation.pieces`.
      out_dir: made if it is missing.
      shown: pieces that the report shows, the first ones.

    Raises:
      OSError: a file cannot be written.
    """
    (out_dir / PIANO_ROLLS).mkdir(parents=True, exist_ok=True)
    with locked(out_dir / "report", f"waiting for another evaluation to write into {out_dir}"):
        for folder in (out_dir, out_dir / PIANO_ROLLS):
            remove_leftovers(folder)
        _write(evaluation, scores, out_dir, shown)


def _write(evaluation: Evaluation, scores: Sequence[Score], out_dir: Path, shown: int) -> None:
    (out_dir / REPORT).unlink(missing_ok=True)  # It never stands beside figures of another time.
    # A number that is not finite would be no JSON: an error here rather than in a reader.
    text = json.dumps(evaluation.to_json(), allow_nan=False) + "\n"
    write_atomically(out_dir / METRICS, text.encode())
    pieces = list(zip(evaluation.pieces, scores, strict=True))[:shown]
    names = picture_names([piece.name for piece, _ in pieces])
    with warnings.catch_warnings():
        # A box stands in the title for a character that the font lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        for (piece, score), name in zip(pieces, names, strict=True):
            piano_roll_plot.save_png(score, out_dir / PIANO_ROLLS / name, piece.name)
    page.write(evaluation, scores, out_dir / REPORT, shown)


def picture_names(pieces: Sequence[str]) -> list[str]:
    """Gives the file name of each piece's piano roll: all differ, whatever the case of letters.

    Args:
      pieces: names of the pieces, in which / parts the folders.
    """
    taken: set[str] = set()
    names = []
    for piece in pieces:
        whole = piece.replace("/", "_").encode()[:LONGEST_NAME].decode(errors="ignore")
        name, number = whole, 1
        while name.casefold() in taken:
            number += 1
            name = f"{whole}-{number}"
        taken.add(name.casefold())
        names.append(f"{name}.png")
    return names


def refuse_files(out_dir: Path) -> None:
    """Refuses, before the work, files where the findings need directories.

    Raises:
      UsageError: names the file.
    """
    for path in (out_dir, out_dir / PIANO_ROLLS):
        if path.exists() and not path.is_dir():
            raise UsageError(f"{path} is a file; --out_dir takes a directory, or a new name")
