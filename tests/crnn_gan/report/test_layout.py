"""The page in a browser: nothing hangs over its edges, with scripts or without."""

from __future__ import annotations

import dataclasses

import pytest
from findings import evaluation, originality, random_score
from visit import WIDE, Visit

from crnn_gan.metrics.distances import Overlap
from crnn_gan.report.page import page

PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def wide_words(tmp_path_factory):
    """A report whose names know no end: of pieces, bins, settings, figures and known music."""
    scores = [random_score(40, 10), random_score(400, 100)]
    found = evaluation(scores, ["n" * 200, "piece.mid"], title="t" * 90)
    copied = originality(["copied", "borrows"])
    pieces = tuple(
        dataclasses.replace(piece, nearest="k" * 120, reason="r" * 120) for piece in copied.pieces
    )
    bins = tuple(f"dotted quarter {number}" for number in range(12))
    row = dataclasses.replace(found.histograms[0], bins=bins, shape=(12,), generated=(0.1,) * 12)
    row = dataclasses.replace(row, real=(0.1,) * 12)
    square = dataclasses.replace(row, shape=(12, 12), generated=(0.1,) * 144, real=(0.1,) * 144)
    figures = tuple(dataclasses.replace(figure, name="f" * 90) for figure in found.figures)
    training = dataclasses.replace(found.training, settings={"s" * 60: "v" * 90, "codec": "w" * 90})
    reasons = Overlap(0.0, None, "the divergence is infinite: the distances are all equal " * 2)
    card = f"{'c' * 200}\n\n| {'h' * 99} | b |\n| --- | --- |\n| 1 | 2 |\n\n```\n{'p' * 300}\n```"
    found = dataclasses.replace(
        found,
        originality=dataclasses.replace(copied, pieces=pieces),
        histograms=(row, square),
        figures=figures,
        statistics=(dataclasses.replace(found.statistics[0], overlap=reasons),),
        training=training,
        cards={"data": card},
    )
    path = tmp_path_factory.mktemp("wide") / "report.html"
    path.write_text(page(found, scores), encoding="utf-8")
    return path


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
@pytest.mark.parametrize("window", [WIDE, PHONE], ids=["wide", "phone"])
def test_no_word_is_too_long_for_the_page(browser, wide_words, window, scripts):
    visit = Visit(browser, wide_words, viewport=window, java_script_enabled=scripts)
    assert visit.sideways() <= 0
    assert visit.button(0).is_visible() == scripts
    visit.context.close()
    assert visit.said == []
    assert visit.asked == [wide_words.as_uri()]
