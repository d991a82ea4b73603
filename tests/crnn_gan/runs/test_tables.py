"""The tables of a run: written, read back, and begun by a version with other columns."""

from pathlib import Path

import pytest

from crnn_gan.runs.tables import Losses, Row, read_losses, read_rows, write_losses, write_rows

OLD = "epoch\tstage\tpieces\trepeated\tpolyphony\thats\n1\tpretraining\t16\t0\t0.5\t3\n"


def test_the_rows_are_a_table_that_people_and_programs_read(tmp_path: Path):
    path = tmp_path / "statistics.tsv"
    row = Row(7, "adversarial", 16, 1, {"polyphony": 0.5, "repetitions": 12.0, "tone_span": 41.25})
    write_rows(path, [row])
    assert path.read_text() == (
        "epoch\tstage\tpieces\trepeated\tpolyphony\trepetitions\ttone_span\n"
        "7\tadversarial\t16\t1\t0.5\t12\t41.25\n"
    )
    assert read_rows(path) == [row]


def test_a_table_that_is_not_there_has_no_rows(tmp_path: Path):
    assert read_rows(tmp_path / "statistics.tsv") == []
    assert read_losses(tmp_path / "losses.tsv") == []


def test_a_table_of_a_run_that_has_not_begun_has_no_rows(tmp_path: Path):
    write_rows(tmp_path / "statistics.tsv", [])
    assert read_rows(tmp_path / "statistics.tsv") == []


def test_rows_of_other_columns_keep_what_they_have(tmp_path: Path):
    path = tmp_path / "statistics.tsv"
    path.write_text(OLD)
    new = Row(2, "adversarial", 8, 1, {"tone_span": 30.0, "polyphony": 0.25})
    write_rows(path, [*read_rows(path), new])
    assert path.read_text() == (
        "epoch\tstage\tpieces\trepeated\ttone_span\tpolyphony\thats\n"
        "1\tpretraining\t16\t0\t\t0.5\t3\n"
        "2\tadversarial\t8\t1\t30\t0.25\t\n"
    )
    assert read_rows(path) == [
        Row(1, "pretraining", 16, 0, {"polyphony": 0.5, "hats": 3.0}),
        new,
    ]


def test_how_alike_the_pieces_are_stands_beside_their_means(tmp_path: Path):
    path = tmp_path / "statistics.tsv"
    rows = [Row(1, "", 16, 0, {"polyphony": 0.5}, 0.0625), Row(2, "", 16, 0, {"polyphony": 0.5})]
    write_rows(path, rows)
    assert path.read_text() == (
        "epoch\tstage\tpieces\trepeated\tpolyphony\tshared_notes\n"
        "1\t\t16\t0\t0.5\t0.0625\n"
        "2\t\t16\t0\t0.5\t\n"
    )
    assert read_rows(path) == rows


def test_losses_of_several_stages_stand_in_one_table(tmp_path: Path):
    path = tmp_path / "losses.tsv"
    rows = [
        Losses(1, "pretraining", {"mse_loss": 0.125}),
        Losses(2, "adversarial", {"critic_loss": -2.5, "generator_loss": 1.0}),
    ]
    write_losses(path, rows)
    assert path.read_text() == (
        "epoch\tstage\tcritic_loss\tgenerator_loss\tmse_loss\n"
        "1\tpretraining\t\t\t0.125\n"
        "2\tadversarial\t-2.5\t1\t\n"
    )
    assert read_losses(path) == rows


def test_the_order_of_columns_follows_from_the_rows_alone(tmp_path: Path):
    # As a run that was killed in its third stage and resumed in the second one.
    rows = [
        Losses(1, "first", {"c": 1.0, "a": 2.0, "b": 3.0}),
        Losses(2, "second", {"b": 4.0}),
        Losses(3, "third", {"d": 5.0, "a": 6.0}),
    ]
    write_losses(tmp_path / "whole.tsv", rows)
    for end in (1, 2, 3):
        earlier = [row for row in read_losses(tmp_path / "killed.tsv") if row.epoch < end]
        write_losses(tmp_path / "killed.tsv", [*earlier, rows[end - 1]])
    earlier = [row for row in read_losses(tmp_path / "killed.tsv") if row.epoch < 2]
    write_losses(tmp_path / "killed.tsv", [*earlier, *rows[1:]])
    assert (tmp_path / "killed.tsv").read_bytes() == (tmp_path / "whole.tsv").read_bytes()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"statistics\.tsv, line 1: it has no column 'epoch'"),
        ("epoch\tloss\n1\t2\n", r"line 1: it has no column 'stage'"),
        (OLD + "2\tpretraining\t16\n", r"line 3: .*shorter"),
        (OLD + "2\tpretraining\t16\t0\tmuch\t3\n", r"line 3: could not convert .*'much'"),
        (OLD + "two\tpretraining\t16\t0\t1\t3\n", r"line 3: invalid literal .*'two'"),
    ],
)
def test_a_damaged_table_is_refused_with_its_line_and_what_to_do(tmp_path: Path, text, said):
    (tmp_path / "statistics.tsv").write_text(text)
    with pytest.raises(ValueError, match=rf"{said}.*or move the file away: the run goes on"):
        read_rows(tmp_path / "statistics.tsv")
