"""The documents name what is there."""

import re
from pathlib import Path

import pytest

from crnn_gan.models.registry import model_names

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
DECISIONS = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
PARTS = ("Context", "Decision", "Instead of", "How to leave it")
LONGEST_ROW = 400  # Characters; four lines of a screen. Two are what a reader likes.


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_within_the_project_lead_somewhere(document):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("name", model_names())
def test_every_model_has_its_section(name):
    assert f"\n## `{name}`\n" in (ROOT / "docs/models.md").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_row_of_a_table_fits_on_a_screen(document):
    rows = [line for line in document.read_text().splitlines() if line.startswith("|")]
    assert [row[:40] for row in rows if len(row) > LONGEST_ROW] == []


def test_decisions_have_numbers_of_their_own_and_stand_in_the_index():
    numbers = [path.name[:4] for path in DECISIONS]
    assert len(numbers) == len(set(numbers))
    index = (ROOT / "docs/decisions/README.md").read_text()
    assert [path.name for path in DECISIONS if f"({path.name})" not in index] == []


@pytest.mark.parametrize("page", DECISIONS, ids=lambda path: path.name)
def test_a_decision_says_why_what_instead_of_what_and_how_to_leave_it(page):
    text = page.read_text()
    assert text.startswith(f"# {page.name[:4]} ")
    assert [
        part for part in PARTS if not re.search(rf"^(## |\*\*){part}", text, re.MULTILINE)
    ] == []
