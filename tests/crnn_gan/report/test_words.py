"""Words, numbers, Markdown and elements: the sentences of the page, letter by letter."""

from __future__ import annotations

import dataclasses

import pytest
from findings import evaluation, originality, random_score, statistic

from crnn_gan.evaluation.evaluation import Figure
from crnn_gan.metrics.bands import Band
from crnn_gan.metrics.distances import Overlap
from crnn_gan.report import leading, numbers, words
from crnn_gan.report.elements import Markup, element, markup
from crnn_gan.report.markdown import to_html

DASH, SPACE = "\N{EN DASH}", "\N{NO-BREAK SPACE}"
TWO = (random_score(40, 10), random_score(60, 12))


def said(topic: str, **changed: object) -> str:
    found = {f.topic: f.text for f in words.findings(evaluation(TWO, **changed))}
    return found[topic]


RECALL = Figure("recall (k = 5, 24 features)", "distances", 0.07, 0.91, "high", "diversity")
PRECISION = dataclasses.replace(
    RECALL, name="precision (k = 5, 24 features)", value=0.87, real=0.84
)
COVERAGE = dataclasses.replace(RECALL, name="coverage (k = 5, 24 features)", value=0.18, real=0.48)
AREA = dataclasses.replace(RECALL, name="mean overlap area, the paper's statistics (6, MGEval)")
WIDER = dataclasses.replace(
    RECALL, name="recall (k = 5, 26 features)", group="all statistics", value=0.05
)


def test_the_summary_leads_with_recall_and_precision_beside_held_out_music_s():
    found = evaluation(TWO, figures=(COVERAGE, PRECISION, RECALL, WIDER, AREA))
    nats = dataclasses.replace(found.training, held_out_nats=4.078)
    sentences = words.sentences(dataclasses.replace(found, training=nats))
    assert sentences[1] == (
        "Recall is 0.07 (held-out music 0.91) and precision 0.87 (held-out music 0.84): 2 pieces "
        "against 3 windows, k = 5, 24 features."
    )
    assert sentences[2].startswith("Recall is the share of the real windows that have a piece")
    assert sentences[3] == (
        "Coverage: 0.18 (held-out music 0.48); mean overlap area, the paper's statistics: 0.07 "
        "(held-out music 0.91); nats per step of held-out music: 4.08."
    )
    assert sentences[4].startswith("The mean of the pieces lies within")  # The bands come after.
    assert leading.in_short(found) == "recall 0.07, precision 0.87"


def test_a_leading_figure_without_a_value_says_why():
    none = dataclasses.replace(RECALL, value=None, real=None, reason="too few pieces: 2")
    found = evaluation(TWO, figures=(PRECISION, none))
    assert leading.leading_sentences(found)[0].startswith(
        "Recall is undefined (held-out music undefined, too few pieces: 2) and precision 0.87 ("
    )
    assert leading.in_short(found) == "precision 0.87"
    assert leading.leading_sentences(evaluation(TWO, figures=())) == []


def test_the_summary_says_where_windows_are_of_held_out_music():
    text = words.beginning(evaluation(TWO, against="held_out"))
    assert text.endswith("were compared with 3 windows of held-out music from corpus.")


def test_figures_over_all_statistics_are_not_counted_twice():
    assert said("As a set", figures=(PRECISION, RECALL, WIDER)).startswith("1 of 2 figures")


def test_the_summary_has_five_to_eight_sentences_and_ends_with_what_it_does_not_say():
    sentences = words.sentences(evaluation(TWO))
    assert 5 <= len(sentences) <= 8
    assert sentences[-1].startswith("This does not show that the music is good")
    assert sentences[0].startswith("2 pieces of c_rnn_gan (100 notes, ")
    assert sentences[0].endswith(") were compared with 3 windows of real music from corpus.")


def test_how_close_is_told_of_means_and_of_single_pieces():
    # The values are 10 and 30, their mean 20; real are 12, 24 and 36, whose standard deviation
    # is the root of (144 + 0 + 144) / 3, 9.8: the mean is 0.41 of it away, one piece is outside.
    assert said("Close") == (
        "The mean of the pieces lies within half a standard deviation of real music's mean in 1 "
        f"of the 1 statistics that vary there. In 1 of all 1 it lies in the band of the middle "
        f"90{SPACE}% of the real windows, which only rules out gross faults; a single piece "
        f"does in 50{SPACE}% of them on average, a real window in 100{SPACE}%."
    )
    assert said("Stands out") == "No mean stands out."


def test_what_is_furthest_from_real_music_stands_out_first():
    # (60 - 24) / 9.8 and (24 - 0) / 9.8; 28 is 0.41 away.
    rows = (statistic("low", (0.0,)), statistic("high", (60.0,)), statistic("fine", (28.0,)))
    assert said("Stands out", statistics=rows) == (
        "Furthest from real music: high (60 against 24, 3.67 standard deviations) and low (0 "
        "against 24, 2.45 standard deviations)."
    )
    assert words.near_real(rows) == (1, 3)


def test_a_statistic_that_never_varies_in_real_music_counts_only_when_it_differs():
    flat = dataclasses.replace(statistic("pedal_share", (0.3,), Band(0, 0, 0, 0)), real=(0.0, 0.0))
    assert words.near_real((flat,)) == (0, 0)
    assert said("Stands out", statistics=(flat, statistic())) == (
        "Furthest from real music: pedal share (0.3 against 0, constant there)."
    )
    same = dataclasses.replace(flat, mean=0.0)
    assert said("Stands out", statistics=(same, statistic())) == "No mean stands out."


def test_repeated_pieces_are_told():
    assert said("Varied", repeated=1).startswith("1 piece repeats an earlier one note for note.")
    assert "least in tone span (0.8)" in said("Varied")
    none = (statistic(overlap=Overlap(None, None, "all distances are 0")),)
    assert said("Varied", statistics=none) == "No two pieces are equal note for note."


def test_figures_are_held_against_those_of_real_music():
    # Recall is 0.2 against 0.8; BLEU has no value.
    assert said("As a set") == (
        f"0 of 1 figure of the whole set are within 10{SPACE}% of those of held-out real music; "
        "the worst is recall, 0.2 against 0.8."
    )
    near, better = (
        dataclasses.replace(evaluation(TWO).figures[0], value=value, wanted="high")
        for value in (0.85, 0.9)
    )
    assert said("As a set", figures=(near,)).endswith(
        "is within 10\xa0% of those of held-out real music."
    )
    assert said("As a set", figures=(near, better)).endswith(
        "music, 1 is better, as copies would be."
    )


@pytest.mark.parametrize(
    ("wanted", "value", "real", "better"),
    [
        ("low", 2.0, 1.0, -0.5),
        ("low", 1.0, 2.0, 0.5),
        ("high", 1.0, 2.0, -0.5),
        ("high", 2.0, 1.0, 0.5),
        ("as real", 2.0, 1.0, -0.5),
        ("as real", 1.0, 2.0, -0.5),
        ("low", 0.0, 0.0, 0.0),
    ],
)
def test_what_is_better_depends_on_what_is_wanted(wanted, value, real, better):
    figure = dataclasses.replace(evaluation(TWO).figures[0], wanted=wanted, value=value, real=real)
    assert words._better(figure) == better


def test_originality_is_counted_and_copies_are_named():
    assert said("Original", originality=originality(["original", "original"])) == (
        "Compared with 3 reference pieces, all pieces stay within the limits of held-out real "
        f"music, which has up to 50{SPACE}% of its notes in common with one of them."
    )
    assert said("Original", originality=originality(["copied", "borrows"])) == (
        "Compared with 3 reference pieces, 0 of 2 pieces stay within the limits of held-out real "
        f"music, which has up to 50{SPACE}% of its notes in common with one of them, 1 borrows, "
        "1 is copied (copied: piece-0.mid)."
    )
    assert said("Original", originality=None).startswith("Originality was not measured")
    unknown = dataclasses.replace(originality(["", ""]), limits={})
    # There is a real window, but none for limits: it is a copy of a reference piece.
    text = said("Original", originality=unknown)
    assert "7 notes; held-out real music is in the reference itself" in text
    alone = dataclasses.replace(unknown, real=())
    assert "7 notes; there is no held-out music" in said("Original", originality=alone)
    none = tuple(dataclasses.replace(piece, longest_row=0) for piece in alone.pieces)
    unknown = dataclasses.replace(alone, pieces=none)
    assert "no passage of 8 notes or more is shared" in said("Original", originality=unknown)


def test_pieces_too_short_to_compare_are_not_called_original():
    found = originality(["original", "original"])
    first, second = found.pieces
    short = dataclasses.replace(first, notes=7)
    assert said("Original", originality=dataclasses.replace(found, pieces=(short, second))) == (
        "Compared with 3 reference pieces, the piece stays within the limits of held-out real "
        f"music, which has up to 50{SPACE}% of its notes in common with one of them (1 more has "
        "under 8 notes and was not compared)."
    )
    assert said("Original", originality=dataclasses.replace(found, pieces=(short, short))) == (
        "No piece was compared with reference pieces: none has 8 notes or more, drums excluded."
    )


def test_one_piece_has_no_mean():
    # All three real windows, 12, 24 and 36, lie within 12 to 36.
    assert said("Close", statistics=(statistic(generated=(20.0,)),)) == (
        "The piece lies within half a standard deviation of real music's mean in 1 of the 1 "
        f"statistics that vary there. In 1 of all 1 it lies in the band of the middle 90{SPACE}% "
        "of the real windows, which only rules out gross faults; a real window "
        f"does in 100{SPACE}%."
    )


def test_what_was_left_out_is_told_of_each_set_with_the_first_reason():
    found = evaluation(TWO)
    assert words.left_out(found) == []
    made = dataclasses.replace(found.generated, left_out=("a.mid: it is damaged", "b.mid: too"))
    real = dataclasses.replace(found.reference, left_out=("c.mid: it has no notes",))
    assert words.left_out(dataclasses.replace(found, generated=made, reference=real)) == [
        "2 pieces of c_rnn_gan were skipped, the first is a.mid: it is damaged.",
        "1 piece of corpus was skipped: c.mid: it has no notes.",
    ]


def test_a_piece_says_where_it_leaves_the_band():
    found = evaluation(TWO)
    assert words.piece_outside(found.pieces[0], found.statistics) == (
        "Outside real music's band: tone span below (10)."
    )
    assert words.piece_outside(found.pieces[1], found.statistics) == (
        "All statistics lie in real music's band."
    )
    assert words.piece_outside(found.pieces[0], ()) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (0.71, "0.71"), (21.34, "21.3"), (107.4, "107"), (1204, "1,204"),
        (0.0031, "0.0031"), (-3.5, "\N{MINUS SIGN}3.5"), (2.5e-7, "2.5e-07"),
    ],
)  # fmt: skip
def test_numbers_have_the_digits_they_need(value, text):
    assert numbers.number(value) == text


def test_shares_never_hide_the_few():
    assert [numbers.percent(share).replace(SPACE, "") for share in (0, 0.001, 0.5, 0.999, 1)] == [
        *("0%", "<1%", "50%", ">99%", "100%"),
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(11.6, "11.6 s"), (552, "9 min 12 s"), (12_000, "3 h 20 min")]
)
def test_durations_are_told_as_people_do(seconds, text):
    assert numbers.duration(seconds) == text


def test_text_is_escaped_and_markup_is_not():
    assert element("p", "a < b & c", Markup("<b>d</b>"), ["e", None]) == (
        "<p>a &lt; b &amp; c<b>d</b>e</p>"
    )
    assert element("a", class_="x\"y'", data_piece=3, hidden=True, id=None, open=False) == (
        '<a class="x&quot;y&#x27;" data-piece="3" hidden=""></a>'
    )
    assert element("meta", charset="utf-8") == '<meta charset="utf-8">'
    assert markup("<", Markup("<")) == "&lt;<"


def test_cards_become_html():
    card = """# Corpus

What was *made*,
in two lines.

| split | notes |
| --- | --- |
| train | `5` |

- one
- **two**

![Pitch](card.png) and [home](https://example.org)

```python
a < b

# c
```
"""
    assert to_html(card) == (
        "<h4>Corpus</h4><p>What was *made*, in two lines.</p>"
        '<div class="scrolls"><table><thead><tr><th scope="col">split</th>'
        '<th scope="col">notes</th></tr></thead><tbody><tr><td>train</td>'
        "<td><code>5</code></td></tr></tbody></table></div>"
        "<ul><li>one</li><li><strong>two</strong></li></ul>"
        "<p><em>(image: Pitch)</em> and home (https://example.org)</p>"
        "<pre><code>a &lt; b\n\n# c</code></pre>"
    )


@pytest.mark.parametrize("text", ["", "\n\n", "```", "| a", "#", "- ", "| a |\n| --- |", "![]()"])
def test_no_card_is_too_short_for_it(text):
    assert to_html(text).count("<") % 2 == 0


def test_a_line_that_looks_like_a_table_without_being_one_is_text():
    assert to_html("| a |\nb") == "<p>| a | b</p>"
