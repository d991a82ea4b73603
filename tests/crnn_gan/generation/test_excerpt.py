"""Tests of crnn_gan/generation/excerpt.py: which steps, and what is refused."""

import pytest

from crnn_gan.generation.excerpt import Excerpt
from pipelines.settings import UsageError


def test_both_ends_are_in_an_excerpt_and_1_is_the_first_step():
    found = Excerpt.parse("225:256", 512)
    assert (found.first, found.last, found.steps, str(found)) == (225, 256, 32, "steps 225 to 256")
    assert Excerpt.parse("7:7", 7).steps == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("225", "--excerpt is '225'; give FIRST:LAST, such as 225:256"),
        ("1:2:3", "give FIRST:LAST"),
        ("-1:4", "give FIRST:LAST"),
        ("0:4", "a first step of 1 or more"),
        ("9:8", "a last one not before it"),
        ("481:513", "the pieces have 512 steps; give --length=513 or more, or an earlier excerpt"),
    ],
)
def test_other_excerpts_are_refused_in_words(text, said):
    with pytest.raises(UsageError, match=said):
        Excerpt.parse(text, 512)
