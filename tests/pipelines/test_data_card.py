"""The data card: counts worked out by hand, what the text says, and plots of any data."""

import dataclasses
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image
from random_scores import scores
from stored_pieces import write_tables

from pipelines import prepare, records
from pipelines.codecs.note_tuples import Codec
from pipelines.formats import midi_writing
from pipelines.preparation import data_card, data_plots
from pipelines.preparation.data_counts import (
    BLOCKS,
    COUNTS,
    DURATION_EDGES,
    by_name,
    counts,
    from_names,
    packed,
    unpacked,
)
from pipelines.preparation.duplicates import COPY_OF
from pipelines.score import Score
from pipelines.score_arrays import NOTE, PEDAL, TEMPO
from pipelines.shaping import Shaping
from pipelines.sources import folder
from pipelines.spec import Spec
from pipelines.split import RULES, SPLITS, Fractions


def score_of(*rows, **fields):
    """Notes of (onset, duration, pitch, velocity, is_drum); a tick is 1/8 s."""
    notes = np.zeros(len(rows), NOTE)
    for index, (onset, duration, pitch, velocity, is_drum) in enumerate(rows):
        notes[index] = (onset, duration, pitch, velocity, 0, 0, is_drum)
    return Score.from_unsorted(4, notes, **fields)


# A chord of two from 0.5 s: C for 1 s, E for 0.5 s. A drum at 4 s, for 1 s.
CHORD = score_of(
    (4, 8, 60, 64, False),
    (4, 4, 64, 80, False),
    (32, 8, 36, 100, True),
    pedal=np.array([(0, 64, 127, 0)], PEDAL),
)


def found_in(counted, name):
    values = counted[BLOCKS[name]]
    return {int(place): int(values[place]) for place in np.flatnonzero(values)}


def test_a_chord_is_counted_as_worked_out_by_hand():
    counted = counts(CHORD)
    assert counted.shape == (COUNTS,) and counted.dtype == np.int64
    assert found_in(counted, "pitch") == {60: 1, 64: 1}
    assert found_in(counted, "velocity") == {64: 1, 80: 1}
    # 0.01 s * 2 ** (k / 4): 0.5 s lies from k = 22 (0.453) to 23, 1 s from 26 (0.905) to 27.
    assert found_in(counted, "duration") == {23: 1, 27: 1}
    # Half a second of silence, one of two keys, and one of one key, in microseconds.
    assert found_in(counted, "polyphony") == {0: 500_000, 1: 500_000, 2: 500_000}
    # The drum ends at 5 s, between 2 ** 2 and 2 ** 2.5: above the fourth edge.
    assert found_in(counted, "length") == {5: 1}
    assert found_in(counted, "drum_notes") == {0: 1}
    assert found_in(counted, "pieces_with_sustain") == {0: 1}


def test_what_is_out_of_the_bins_is_counted_at_their_ends():
    short = Score(30000, score_of((0, 1, 60, 1, False)).notes)  # 17 microseconds.
    assert found_in(counts(short), "duration") == {0: 1}
    assert found_in(counts(short), "length") == {0: 1}
    long = score_of((0, 10**6, 60, 1, False))  # 35 hours.
    assert found_in(counts(long), "duration") == {len(DURATION_EDGES): 1}
    cluster = score_of(*((0, 8, pitch, 1, False) for pitch in range(40, 60)))
    assert found_in(counts(cluster), "polyphony") == {16: 1_000_000}
    assert counts(score_of()).sum() == 1  # A piece, without a note.


@settings(deadline=None, derandomize=True, database=None)
@given(scores(lowest=0, highest=127))
def test_counts_of_any_piece_add_up(score):
    counted = counts(score)
    pitched = score.notes[~score.notes["is_drum"]]
    for name in ("pitch", "velocity", "duration"):
        assert counted[BLOCKS[name]].sum() == len(pitched)
    last = (pitched["onset"] + pitched["duration"]).max(initial=0)
    seconds = counted[BLOCKS["polyphony"]].sum() / 1e6
    assert seconds == pytest.approx(float(score.seconds_at(last)), abs=1e-5)
    assert counted[BLOCKS["length"]].sum() == 1 and counted.min() >= 0
    np.testing.assert_array_equal(unpacked(packed(counted)), counted)
    np.testing.assert_array_equal(from_names(json.loads(json.dumps(by_name(counted)))), counted)


def row(key, composer, split, notes, seconds, licence="as the collection"):
    names = ("key", "composer", "split", "notes", "seconds", "licence", "steps")
    return dict(zip(names, (key, composer, split, notes, seconds, licence, 2 * notes), strict=True))


ROWS = [
    row("1.mid", "bach", "train", 100, 1800.0),
    row("2.mid", "bach", "test", 50, 900.0),
    row("3.mid", "a|b $x$ 楽", "train", 200, 5400.0, "CC0"),
]
SKIPPED = [
    *({"key": f"copy {index}.mid", "reason": f"{COPY_OF}{index}.mid"} for index in range(3)),
    {"key": "silent.mid", "reason": "it has no notes"},
]
NO_COUNTS = {split: np.zeros(COUNTS, np.int64) for split in SPLITS}


def prepared(data_dir, rows=ROWS, skipped=SKIPPED, counted=NO_COUNTS, **fields):
    """Writes tables; gives the manifest of a directory that holds them."""
    splits = {split: {"pieces": 0, "steps": 0, "notes": 0, "shards": []} for split in SPLITS}
    for piece in rows:
        for name, count in (("pieces", 1), ("steps", piece["steps"]), ("notes", piece["notes"])):
            splits[piece["split"]][name] += count
    codec = Codec()
    sums = [{"split": split, **by_name(values)} for split, values in counted.items()]
    values = {
        "configuration": "c0ffee",
        "source": {
            "name": "folder",
            "flags": {"path": "music", "composer": ["bach", "liszt"], "most": None},
            "licence": "as the collection",
            "citation": "",
            "homepage": "https://example.org",
        },
        "codec": codec.to_json(),
        "shaping": dataclasses.asdict(Shaping()),
        "spec": dataclasses.replace(codec.spec, classes={"composer": ("bach", "liszt")}),
        "fractions": Fractions()._asdict(),
        "split_rules": dict(zip(RULES, (2, 0, 1), strict=True)),
        "splits": splits,
        "tables": write_tables(data_dir, pieces=rows, skipped=skipped, counts=sums),
        "reading": {"left_out": {}, "doubtful": {}},
        "versions": {"numpy": "2.4.6"},
        **fields,
    }
    return records.Manifest(**values)


def test_the_card_says_what_is_there(tmp_path):
    manifest = prepared(tmp_path, counted={**NO_COUNTS, "train": counts(CHORD)})
    assert not data_card.is_there(tmp_path)
    written = data_card.write(tmp_path, manifest)
    assert data_card.is_there(tmp_path)
    assert [path.name for path in written] == ["data_card.md", "data_card.png"]
    text = written[0].read_text()
    for line in (
        "# folder as note_tuples",
        "| split | pieces | hours | notes | steps |",
        "| train | 2 | 2.00 | 300 | 600 |",
        "| validation | 0 | 0.00 | 0 | 0 |",
        "| all | 3 | 2.25 | 350 | 700 |",
        "Pieces by what decided their split: published by the collection, 2; hash of its group, 1.",
        "- Pieces whose sustain pedal moves: 1.",
        "- MIDI pitches: 60 to 64.",
        "- Notes of drums: 1; they are in no plot.",
        "- Licence: as the collection",
        "- Citation: unknown",
        "- Homepage: https://example.org",
        "- Flags: `--path=music` `--composer=bach,liszt`",
        "| as the collection | 2 |",
        "| CC0 | 1 |",
        r"| a\|b $x$ 楽 | 1 | 1.50 | 200 |",
        "| bach | 2 | 0.75 | 150 |",
        "None: pieces are as the source has them.",
        "| 3 | copy of another piece |",
        "| 1 | it has no notes |",
        "4 pieces; `skipped.jsonl` names each.",
        "note_tuples: a piece as a sequence of notes, each a vector of real-valued features.",
        "| time | 0 | 1 |",
        "| ticks_per_quarter | 12 |",
        "Read with numpy 2.4.6; configuration",
    ):
        assert line in text.splitlines()
    assert "\nLost: tempo (one fixed tempo comes back), pedal, " in text
    assert "a step of it (note) is a vector of 6 numbers, as float32." in text
    assert "Beside each array stand its composer (2)." in text
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("counts.jsonl", "data_card.md", "data_card.png", "pieces.jsonl", "skipped.jsonl")
    ]


def test_shaping_is_said_in_words_and_long_tables_end(tmp_path):
    shaping = Shaping(meters=("3/4",), common_key="profile", apply_pedal=True)
    rows = [row(f"{index:02d}.mid", f"composer {index}", "train", 1, 36.0) for index in range(25)]
    skipped = [{"key": "x", "reason": f"reason {index}"} for index in range(22)]
    manifest = prepared(tmp_path, rows, skipped, shaping={**dataclasses.asdict(shaping)})
    text = data_card.write(tmp_path, manifest)[0].read_text()
    assert "- kept: pieces that have no other meter than 3/4\n- transposed: each piece" in text
    assert "| composer 4 | 1 | 0.01 | 1 |\n| 5 others | 5 | 0.05 | 5 |\n" in text
    assert "| 2 | 2 other reasons |" in text
    assert "a note ends where the pedal or the key is up." in text and "pedal moves" not in text


def test_nothing_left_out_is_said_too(tmp_path):
    text = data_card.write(tmp_path, prepared(tmp_path, skipped=[]))[0].read_text()
    assert "## Left out\n\nNo piece.\n" in text
    assert "## Reading\n\nAll that the files hold is in the notes.\n" in text


def test_damaged_tables_are_refused_and_an_older_card_stays(tmp_path):
    manifest = prepared(tmp_path)
    (tmp_path / "data_card.md").write_text("older")
    (tmp_path / "pieces.jsonl").write_text("{}")
    with pytest.raises(ValueError, match="not what was written"):
        data_card.write(tmp_path, manifest)
    assert (tmp_path / "data_card.md").read_text() == "older"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (Spec("tokens", (None,), "int32", 388, "event"), "a token, 0 to 387, as int32"),
        (Spec("roll", (None, 88, 2), "uint8", 2, "16th"), "a plane of 88 x 2 values, as uint8"),
        (Spec("set", (None, 5, 4), "float32", 4, "chunk"), "a set of 5 x 4 values, as float32"),
        (Spec("audio", (None,), "uint8", 256, "sample"), "a level, 0 to 255, as uint8"),
    ],
)
def test_each_kind_of_array_is_said_in_words(spec, said):
    assert said in data_card.spec_in_words(spec)
    assert f"a step of it ({spec.step}) is" in data_card.spec_in_words(spec)


def test_plots_show_what_is_counted_and_nothing_where_there_is_nothing():
    hours = {"bach": {"train": 2.0, "validation": 0.0, "test": 0.5}}
    full = data_plots.plot({split: counts(CHORD) for split in SPLITS}, hours)
    empty = data_plots.plot(NO_COUNTS, {})
    sizes = [Image.open(io.BytesIO(png)).size for png in (full, empty)]
    assert sizes[0] == sizes[1] and min(sizes[0]) > 600
    inks = [np.asarray(Image.open(io.BytesIO(png)).convert("L")) < 250 for png in (full, empty)]
    assert inks[0].sum() > 1.5 * inks[1].sum()


def test_the_same_counts_give_the_same_bytes():
    hours = {"bach": {"train": 2.0, "validation": 0.0, "test": 0.5}}
    drawn = {data_plots.plot({**NO_COUNTS, "train": counts(CHORD)}, hours) for _ in range(2)}
    assert len(drawn) == 1


def test_prepare_writes_the_card_of_what_it_made(tmp_path):
    (tmp_path / "midi").mkdir()
    for index in range(3):
        tempi = np.array([(0, 250_000 * (index + 1))], TEMPO)
        copy = Score.from_unsorted(4, CHORD.notes, tempi=tempi)
        (tmp_path / "midi" / f"{index}.mid").write_bytes(midi_writing.to_bytes(copy))
    shaping = Shaping(duplicates="exact")
    flags = prepare.Flags(
        data_dir=str(tmp_path / "data"), workers=1, train_fraction=1.0, validation_fraction=0.0
    )
    prepare.prepare(flags, folder.Source(path=str(tmp_path / "midi")), Codec(), shaping)
    text = (tmp_path / "data" / "data_card.md").read_text()
    assert "| train | 1 | 0.00 | 3 | 2 |" in text  # note_tuples leaves drums out.
    assert "- MIDI pitches: 60 to 64." in text and "- Notes of drums: 1;" in text
    assert (
        "- left out: copies of a piece, exact" in text and "| 2 | copy of another piece |" in text
    )
    with Image.open(tmp_path / "data" / "data_card.png") as image:
        assert image.format == "PNG"
