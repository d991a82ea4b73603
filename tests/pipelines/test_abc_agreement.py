"""benchmarks/agreement_abc.py, on tunes written by hand; beside abc2midi where it is installed."""

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "agreement_abc.py"
SPEC = importlib.util.spec_from_file_location("agreement_abc", PATH)
agreement_abc = sys.modules["agreement_abc"] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(agreement_abc)

HEAD = "M:4/4\nL:1/4\nK:D\n"
TUNES = (
    "{g}F>A (3fga !trill!d2|[DF]2 z ^c:|",
    "|:F2 A2 & D4-|f4 & D4:|",  # An overlay and its tie.
    "[K:clef=treble-8]F2 [K:C]F2|[M:2/4]A2|",
)


def test_without_abc2midi_it_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    agreement_abc.main([])
    assert "skipped: abc2midi is not installed" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("abc2midi") is None, reason="abc2midi is not installed")
def test_tunes_agree_with_abc2midi_and_those_that_do_not_have_a_reason(tmp_path):
    path = tmp_path / "tunes.abc"
    last = "A||B2 z2|C4:|"  # abc2midi goes back to the beginning.
    texts = [f"X:{n}\n{HEAD}{body}\n" for n, body in enumerate([*TUNES, last], start=1)]
    path.write_text("\n".join([*texts, "X:9\nK:H\nA\n"]))
    rows = agreement_abc.compare([path])
    assert [(row.number, row.reason) for row in rows] == [
        (1, ""),
        (2, ""),
        (3, ""),
        (4, "repeats"),
        (9, "refused"),
    ]
    assert next(agreement_abc.lines(rows, 1)).endswith(": 5 tunes, 3 agree")
