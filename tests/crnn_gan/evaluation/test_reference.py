"""Tests of crnn_gan/evaluation/reference.py: reading real music and cutting windows."""

import numpy as np
import pytest
from random_music import piece, pieces, write

from crnn_gan.evaluation.reference import (
    NamedScore,
    halves,
    halves_of_groups,
    read_folder,
    read_reference,
)
from pipelines import dataset, prepare
from pipelines.codecs.note_tuples import Codec
from pipelines.score import Score
from pipelines.score_arrays import NOTE


@pytest.fixture(name="data_dir", scope="module")
def prepared(tmp_path_factory):
    """Thirty pieces of two composers as records of note_tuples."""
    folder = tmp_path_factory.mktemp("music")
    write(folder / "bach", pieces(20))
    write(folder / "haydn", pieces(10, 20))
    data_dir = tmp_path_factory.mktemp("data") / "tiny"
    flags = ["--source=folder", f"--path={folder}", "--codec=note_tuples", "--workers=1"]
    prepare.main(
        [*flags, f"--data_dir={data_dir}", "--train_fraction=0.6", "--validation_fraction=0.2"]
    )
    return data_dir


def test_of_prepared_data_the_training_split_is_known_and_the_rest_is_held_out(data_dir):
    found = read_reference(data_dir)
    assert found.known == found.compared and not found.knows_held_out
    names = {p.name for p in found.known}, {p.name for p in found.held_out}
    assert not names[0] & names[1]
    assert len(names[0] | names[1]) == 30 and names[1]
    assert found.codec == Codec()
    assert found.card.startswith("# ")
    for name, score in found.known:
        original = piece(int(name.removesuffix(".mid").split()[1]))
        assert set(score.notes["pitch"]) == set(original.notes["pitch"])


def test_composers_of_prepared_data_can_be_chosen(data_dir):
    found = read_reference(data_dir, ["haydn"])
    assert {p.name.split("/")[0] for p in found.known + found.held_out} == {"haydn"}


def test_works_per_composer_are_those_that_training_takes(data_dir):
    found = read_reference(data_dir, works_per_composer=2)
    taken = dataset.load(data_dir, "train", (), 2).keys
    assert [p.name for p in found.known] == list(taken) and len(taken) == 4
    assert len(found.held_out) == len(read_reference(data_dir).held_out)


def test_a_composer_without_held_out_pieces_has_none(tmp_path):
    write(tmp_path / "music" / "bach", pieces(20))
    write(tmp_path / "music" / "haydn", pieces(2, 20))
    rows = [f"haydn/piece {number}.mid\tone work" for number in (20, 21)]
    (tmp_path / "music" / "pieces.tsv").write_text("\n".join(["path\tgroup", *rows]) + "\n")
    flags = ["--source=folder", f"--path={tmp_path / 'music'}", "--codec=note_tuples"]
    prepare.main([*flags, f"--data_dir={tmp_path / 'data'}", "--workers=1", "--nocard"])
    found = read_reference(tmp_path / "data", ["haydn"])
    assert len(found.known) == 2 and found.held_out == ()


def test_a_folder_is_dealt_into_halves_and_all_of_it_is_known(tmp_path):
    write(tmp_path, pieces(9))
    found = read_reference(tmp_path)
    names = [[p.name for p in part] for part in (found.compared, found.held_out, found.known)]
    assert len(names[0]) == 5 and len(names[1]) == 4
    assert sorted(names[0] + names[1]) == names[2] == [f"piece {i}.mid" for i in range(9)]
    assert found.knows_held_out and found.codec is None
    assert read_reference(tmp_path).compared[0].name == names[0][0]  # The same draw each time.


def test_what_cannot_be_read_is_left_out_with_its_reason(tmp_path):
    write(tmp_path, pieces(2))
    (tmp_path / "broken.mid").write_bytes(b"no MIDI at all")
    write(tmp_path, (NamedScore("silent", Score(480, np.zeros(0, NOTE))),))
    found, left_out = read_folder(tmp_path)
    assert [piece.name for piece in found] == ["piece 0.mid", "piece 1.mid"]
    assert [line.split(":")[0] for line in left_out] == ["broken.mid", "silent.mid"]
    assert "MThd" in left_out[0] and "no note" in left_out[1]


def test_files_go_through_the_codec_of_the_generated_pieces(tmp_path):
    codec = Codec(ticks_per_quarter=2)
    write(tmp_path, (NamedScore("off the grid", Score(480, np.array(
        [(0, 480, 60, 64, 0, 0, False), (310, 480, 62, 64, 0, 0, False)], NOTE))),))  # fmt: skip
    [found] = read_reference(tmp_path, codec=codec).known
    assert found.score.notes["onset"].tolist() == [0, 1]  # 310 of 480 is nearest to an eighth.
    assert found.score.ticks_per_quarter == 2


def test_a_folder_without_music_and_composers_of_files_are_refused_in_words(tmp_path):
    with pytest.raises(ValueError, match="no music file"):
        read_reference(tmp_path)
    write(tmp_path, pieces(1))
    with pytest.raises(ValueError, match="only prepared data has composers"):
        read_reference(tmp_path, ["bach"])


def test_prepared_data_without_notes_is_refused_in_words(tmp_path):
    write(tmp_path / "music", pieces(3))
    flags = ["--source=folder", f"--path={tmp_path / 'music'}", "--codec=audio", "--workers=1"]
    prepare.main([*flags, f"--data_dir={tmp_path / 'data'}", "--nocard"])
    with pytest.raises(ValueError, match="--codec=audio, which decodes to no notes"):
        read_reference(tmp_path / "data")


def test_halves_of_an_odd_number_differ_by_one_and_keep_their_order():
    first, second = halves(pieces(5))
    numbers = [[int(piece.name.split()[1]) for piece in half] for half in (first, second)]
    assert [len(half) for half in numbers] == [3, 2]
    assert numbers == [sorted(half) for half in numbers]
    assert halves(()) == ((), ())


def names_of(named):
    return {piece.name for piece in named}


def test_groups_stay_together_in_halves_of_about_as_many_pieces():
    named = pieces(9)
    # Works of 4, 2, 2 and 1 pieces: 4 and 1 or 4, 2 and 2 or 3.
    works = dict(zip((piece.name for piece in named), "aaaabbccd", strict=True))
    first, second = halves_of_groups(named, works)
    of = [{works[piece.name] for piece in half} for half in (first, second)]
    assert not of[0] & of[1] and of[0] | of[1] == set("abcd")
    assert sorted(map(len, (first, second))) == [4, 5]
    assert halves_of_groups(named, works) == (first, second)
    assert halves_of_groups(named[:1], works) == ((named[0],), ())


def test_against_held_out_music_one_half_of_it_is_compared_and_the_other_the_baseline(data_dir):
    usual, found = read_reference(data_dir), read_reference(data_dir, against="held_out")
    assert names_of(found.known) == names_of(usual.known) and not found.knows_held_out
    first, second = names_of(found.compared), names_of(found.held_out)
    assert abs(len(first) - len(second)) <= 1 and not first & second
    assert first | second == names_of(usual.held_out)
    assert names_of(found.never_learned) == names_of(usual.never_learned) == first | second
    assert found.compared_in_words == "half of the held-out pieces"
    assert usual.compared_in_words == "the training pieces"


def test_held_out_music_that_is_not_there_is_refused_in_words(tmp_path):
    write(tmp_path / "music", pieces(3))
    with pytest.raises(ValueError, match="only prepared data says which pieces were held out"):
        read_reference(tmp_path / "music", against="held_out")
    flags = ["--source=folder", f"--path={tmp_path / 'music'}", "--codec=note_tuples"]
    flags += [f"--data_dir={tmp_path / 'data'}", "--workers=1", "--nocard"]
    prepare.main([*flags, "--train_fraction=1", "--validation_fraction=0"])
    with pytest.raises(ValueError, match=r"has no held-out piece to compare with: leave --against"):
        read_reference(tmp_path / "data", against="held_out")
