"""A report of three pieces, and a browser without network to visit it with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from visit import Visit

from crnn_gan.evaluation.evaluation import Evaluation, PieceRow, SetFacts
from crnn_gan.report.page import page
from pipelines.score import Score
from pipelines.score_arrays import NOTE

BROWSERS = "chromium", "chromium-browser", "google-chrome"
# Root may not use the sandbox; the others keep the browser from calling home.
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)


def score_of(chords: int) -> Score:
    """Chords of three tones, two a second, each a semitone higher, to the octave and again."""
    notes = np.zeros(3 * chords, NOTE)
    chord, tone = np.divmod(np.arange(3 * chords), 3)
    notes["onset"], notes["duration"] = chord * 480, 480  # Ticks: 960 a second.
    notes["pitch"], notes["velocity"] = 60 + chord % 12 + 4 * tone, 80
    return Score(480, notes)


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """A report of a piece of 8 seconds, an empty one and one of an hour."""
    scores = [score_of(16), Score(480, np.zeros(0, NOTE)), score_of(7200)]
    names = ["chords.mid", "empty.mid", "hour.mid"]
    rows = tuple(
        PieceRow(name, len(score.notes), score.length_seconds, {})
        for name, score in zip(names, scores, strict=True)
    )
    facts = SetFacts("pieces", "written by hand", 3, 21648, 3608.0)
    real = SetFacts("none", "none", 0, 0, 0.0)
    evaluation = Evaluation("Three pieces", facts, real, rows, (), (), (), 0, None, None, {}, ())
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page(evaluation, scores), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs the extra 'browser': run/setup.sh browser"
    )
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"needs one of {', '.join(BROWSERS)} (Debian: apt-get install chromium)")
    flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else [*FLAGS]
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=program, args=flags)
        yield running
        running.close()


@pytest.fixture
def visit(browser, report) -> Iterator[Visit]:
    opened = Visit(browser, report)
    yield opened
    opened.context.close()
    assert opened.said == []
    assert opened.asked == [report.as_uri()]
