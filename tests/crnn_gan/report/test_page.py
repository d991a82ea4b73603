"""The page: whole, well-formed, self-contained and bounded, whatever was evaluated."""

from __future__ import annotations

import dataclasses
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from findings import evaluation, originality, random_score, statistic

from crnn_gan.metrics.bands import Band
from crnn_gan.metrics.distances import Overlap
from crnn_gan.report import page as page_module
from crnn_gan.report.page import page
from pipelines.formats.midi import read_score
from pipelines.score import Score
from pipelines.score_arrays import METER, NOTE, PEDAL

TWO = (random_score(40, 10, seed=1), random_score(60, 12, seed=2))
EMPTY = Score(480, np.zeros(0, NOTE))
PERFORMANCES = Path(__file__).parents[3].parent / "shared" / "data" / "performances"
CODE = re.compile(r"<(script|style)(?![^>]*application/json)[^>]*>.*?</\1>", re.DOTALL)


def tree(text: str) -> ElementTree.Element:
    """The elements of a page; that it is XML too, apart from scripts and styles, is checked."""
    plain = CODE.sub("", text).removeprefix("<!doctype html>")
    return ElementTree.fromstring(re.sub(r"<(meta|link)([^>]*)>", r"<\1\2/>", plain))


def words(element: ElementTree.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def find(root: ElementTree.Element, name: str, **attributes: str) -> list[ElementTree.Element]:
    wanted = {key.rstrip("_"): value for key, value in attributes.items()}
    return [
        element
        for element in root.iter(name)
        if all(element.get(key) == value for key, value in wanted.items())
    ]


EDGES = {
    "two pieces": evaluation(TWO),
    "no piece": evaluation((), originality=None),
    "one piece": evaluation(TWO[:1]),
    "an empty piece": evaluation((EMPTY, TWO[0])),
    "nothing but pieces": evaluation(
        TWO, statistics=(), histograms=(), figures=(), originality=None, training=None, cards={},
        notes=(),
    ),
    "no overlap, no width": evaluation(
        TWO,
        statistics=(
            statistic(overlap=Overlap(None, None, "all distances are 0"), generated=(5.0, 5.0)),
            statistic("constant", (3.0, 3.0), Band(3.0, 3.0, 3.0, 3.0)),
            statistic("above", (4.0, 9e6), Band(3.0, 3.0, 3.0, 3.0)),
        ),
    ),
    "never measured": evaluation(
        TWO,
        training=dataclasses.replace(
            evaluation(TWO).training, epochs=(), curves={"loss": ()}, alarms=(), settings={}
        ),
    ),
    "one epoch": evaluation(
        TWO,
        training=dataclasses.replace(
            evaluation(TWO).training, epochs=(7,), curves={"loss": (1.0,), "other": (None,)}
        ),
    ),
    "no held-out music": evaluation(
        TWO,
        originality=dataclasses.replace(
            originality([""] * 2), limits={}, limits_made="", real=(), real_made=""
        ),
    ),
}  # fmt: skip


def scores_of(name: str) -> tuple[Score, ...]:
    count = len(EDGES[name].pieces)
    return ((EMPTY, TWO[0]) if name == "an empty piece" else TWO)[:count]


@pytest.mark.parametrize("name", EDGES)
def test_whatever_was_found_the_page_is_well_formed_and_holds_no_nonsense(name):
    root = tree(page(EDGES[name], scores_of(name)))
    text = words(root)
    assert "This does not show that the music is good" in text
    assert not re.search(r"\b(nan|inf|None|Infinity)\b", text)
    for element in root.iter():
        assert "nan" not in (element.get("d") or "") + (element.get("style") or "")
        assert "inf" not in (element.get("d") or "")


@pytest.mark.parametrize("name", EDGES)
def test_nothing_leaves_the_page_and_every_link_of_it_leads_somewhere(name):
    root = tree(page(EDGES[name], scores_of(name)))
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    for element in root.iter():
        assert element.tag not in {"img", "iframe", "object", "embed", "base", "form", "image"}
        assert element.get("src") is None
        href = element.get("href")
        assert href is None or href == "data:," or href.removeprefix("#") in ids, href


def test_the_style_asks_for_nothing_and_the_browser_is_told_to_refuse():
    text = page(EDGES["two pieces"], TWO)
    styles = "".join(re.findall(r"<style>(.*?)</style>", text, re.DOTALL))
    assert "url(" not in styles and "@import" not in styles
    (policy,) = find(tree(text), "meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy.get("content").startswith("default-src 'none'")


def test_the_sections_come_in_order_and_the_contents_name_each():
    root = tree(page(EDGES["two pieces"], TWO))
    sections = [element.get("id") for element in root.iter("section")]
    assert sections == [
        *("summary", "pieces", "statistics", "distributions", "figures", "originality"),
        *("training", "cards", "method"),
    ]
    contents = [a.get("href") for nav in root.iter("nav") for a in nav.iter("a")]
    assert contents == [f"#{name}" for name in sections]


def test_the_summary_leads_with_recall_and_the_likelihood_of_held_out_music():
    found = EDGES["two pieces"]  # Recall is 0.2 beside 0.8.
    training = dataclasses.replace(found.training, held_out_nats=4.078)
    root = tree(page(dataclasses.replace(found, training=training), TWO))
    (summary,) = find(root, "section", id="summary")
    (table,) = summary.iter("table")
    rows = [[words(cell) for cell in row] for row in table.iter("tr")][1:]
    assert rows[0][0].startswith("recall")
    assert rows[0][1:3] == ["0.2", "0.8"]
    assert rows[1][0].startswith("nats per step of held-out music")
    assert rows[1][1] == "4.08"
    text = words(summary)
    assert text.index("2 pieces against 3 windows, k = 5. A piece is near") < text.index("The mean")
    (contents,) = root.iter("nav")
    assert "recall 0.2" in words(contents)


def test_a_page_without_figures_leads_with_none():
    (summary,) = find(tree(page(EDGES["nothing but pieces"], TWO)), "section", id="summary")
    assert not list(summary.iter("table"))


def test_what_the_player_relies_on_is_there():
    root = tree(page(EDGES["two pieces"], TWO))
    articles = find(root, "article", class_="piece")
    assert [article.get("data-piece") for article in articles] == ["0", "1"]
    for article in articles:
        (button,) = article.iter("button")
        assert (button.get("class"), button.get("hidden")) == ("play", "")
        rolls = find(article, "svg", class_="roll")
        # 13.99 s at most: one row of 14 s for both.
        assert [(roll.get("data-start"), roll.get("data-end")) for roll in rolls] == [("0", "14")]
    (music,) = find(root, "script", id="music")
    pieces = json.loads(music.text)["pieces"]
    assert [len(piece["notes"]) for piece in pieces] == [4 * 40, 4 * 60]
    assert pieces[0]["seconds"] == pytest.approx(TWO[0].length_seconds, abs=0.001)


def test_file_names_cannot_become_elements():
    name = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;.mid"
    found = evaluation(TWO, [name, "other"], title=name, notes=(name,), cards={"data": name})
    found = dataclasses.replace(found, originality=originality(["copied", name]))
    text = page(found, TWO)
    root = tree(text)
    assert not list(root.iter("img"))
    (article,) = find(root, "article", id="piece-1")
    assert [title.text for title in article.iter("h3")] == [name]
    # A script is text to HTML: what stands in it is not unescaped.
    (music,) = re.findall(r'id="music">(.*?)</script>', text)
    assert json.loads(music)["pieces"][0]["name"] == name
    assert text.count("<script") == page(EDGES["two pieces"], TWO).count("<script")


def test_a_match_is_marked_on_the_roll_and_said_in_words():
    found = evaluation(TWO, originality=originality(["copied", "original"]))
    root = tree(page(found, TWO))
    article, other = find(root, "article", class_="piece")
    (mark,) = find(article, "rect", class_="match")
    # Quarters 2 to 8 are seconds 1 to 4, at 50 units a second.
    assert (mark.get("x"), mark.get("width")) == ("50", "150")
    assert "bars 3-5 as in bars 17-19 of bach.mid, 5 semitones higher" in words(article)
    assert not find(other, "rect", class_="match")
    (section,) = find(root, "section", id="originality")
    assert "#piece-1" in [a.get("href") for a in section.iter("a")]


def test_of_many_pieces_the_first_are_shown_and_it_is_said():
    scores = [TWO[0]] * 120
    found = evaluation(scores, originality=originality(["original"] * 119 + ["copied"]))
    root = tree(page(found, scores, shown=3))
    assert len(find(root, "article", class_="piece")) == 3
    (section,) = find(root, "section", id="pieces")
    assert "The first 3 of 120 pieces are shown." in words(section)
    # The copied one has no card to lead to; its name stands in the table all the same.
    (section,) = find(root, "section", id="originality")
    assert "piece-119.mid" in words(section)
    assert not list(section.iter("a"))


def test_no_piece_need_be_shown():
    assert not find(tree(page(EDGES["two pieces"], TWO, shown=0)), "article", class_="piece")


def test_a_long_piece_is_cut_and_it_is_said():
    score = random_score(3000, 3600)
    (article,) = find(tree(page(evaluation([score]), [score])), "article", class_="piece")
    rolls = find(article, "svg", class_="roll")
    assert [float(roll.get("data-start")) for roll in rolls] == [24.0 * row for row in range(8)]
    assert "The first 3:12 are shown, of 60:0" in words(article)


def test_fifty_pieces_of_five_hundred_notes_are_below_a_megabyte_and_a_half():
    scores = [random_score(500, 60, seed) for seed in range(50)]
    assert len(page(evaluation(scores), scores).encode()) < 1_500_000


def test_fifty_pieces_stay_below_five_megabytes_whatever_they_are():
    def worst(seed: int) -> Score:
        # All sound to the end, the pedal never rests, and bars are as short as can be.
        random = np.random.default_rng(seed)
        notes, pedal = np.zeros(20_000, NOTE), np.zeros(20_000, PEDAL)
        notes["onset"], notes["duration"] = np.sort(random.integers(0, 2**20, 20_000)), 2**26
        notes["pitch"] = random.integers(0, 128, 20_000)
        notes["velocity"] = random.integers(1, 128, 20_000)
        pedal["tick"], pedal["controller"] = np.arange(20_000) * 50, 64
        pedal["value"] = np.arange(20_000) % 2 * 127
        meters = np.array([(0, 1, 2**15)], METER)
        return Score.from_unsorted([480, 1][seed % 2], notes, pedal=pedal, meters=meters)

    scores = [worst(seed) for seed in range(50)]
    found = evaluation(scores, ["n" * 250] * 50)
    assert 1_000_000 < len(page(found, scores).encode()) < 5_000_000


def test_scores_that_are_not_those_of_the_pieces_are_refused():
    with pytest.raises(ValueError, match="1 scores for 2 pieces"):
        page(EDGES["two pieces"], TWO[:1])
    with pytest.raises(ValueError, match="give 0 or more"):
        page(EDGES["two pieces"], TWO, shown=-1)


def test_it_is_written_whole(tmp_path):
    path = tmp_path / "report.html"
    page_module.write(EDGES["two pieces"], TWO, path)
    assert path.read_text(encoding="utf-8") == page(EDGES["two pieces"], TWO)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_real_performances_give_a_page(tmp_path):
    files = sorted(PERFORMANCES.rglob("*.mid"))[::40]
    if not files:
        pytest.skip("there is no real music beside the repository")
    scores = [read_score(file) for file in files]
    root = tree(page(evaluation(scores, [file.name for file in files]), scores))
    assert len(find(root, "article", class_="piece")) == len(files)
    strokes = [path.get("d") for path in root.iter("path") if (path.get("class") or "")[:1] == "v"]
    assert all(re.fullmatch(r"(M\d+ \d+h\d+)+", stroke) for stroke in strokes)
