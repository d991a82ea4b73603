"""The tables of a run: written, read back, and begun by a version with other columns."""

from pathlib import Path

import pytest

from crnn_gan.runs.tables import (
    Losses,
    Row,
    read_alarms,
    read_losses,
    read_rows,
    require_readable,
    write_losses,
    write_rows,
)

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


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"epoch 7: too few tones\nepoch x: y\n", r'line 2 is "epoch x: y"; expected .epoch 7'),
        (b"\x89PNG\r\n", "byte 0 is no UTF-8; expected a text"),
        (b"epoch 0: no such epoch\n", "line 1 is"),
    ],
)
def test_damaged_alarms_are_named_before_an_epoch_is_trained(tmp_path: Path, content, said):
    (tmp_path / "alarms.txt").write_bytes(content)
    with pytest.raises(ValueError, match=rf"alarms\.txt.*{said}"):
        require_readable(tmp_path)


def test_alarms_come_back_with_their_epochs(tmp_path: Path):
    (tmp_path / "alarms.txt").write_text("epoch 7: a: b\nepoch 12: c\n")
    assert read_alarms(tmp_path / "alarms.txt") == [(7, "epoch 7: a: b"), (12, "epoch 12: c")]
    assert read_alarms(tmp_path / "none.txt") == []
    require_readable(tmp_path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1\t\t0\t0\t0.5\n", "0 of 0 pieces repeat another; expected 1 or more"),
        ("1\t\t4\t5\t0.5\n", "5 of 4 pieces"),
        ("0\t\t4\t0\t0.5\n", 'the epoch is "0"; expected 1 to 999999'),
    ],
)
def test_a_row_that_cannot_be_is_refused_with_its_line(tmp_path: Path, line, said):
    path = tmp_path / "generated_data" / "statistics.tsv"
    path.parent.mkdir()
    path.write_text(f"epoch\tstage\tpieces\trepeated\tpolyphony\n{line}")
    with pytest.raises(ValueError, match=f"line 2: {said}"):
        require_readable(tmp_path)
