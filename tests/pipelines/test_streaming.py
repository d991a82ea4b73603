"""Batches from shards on disk: their order, exact resuming, parts, memory, and damage."""

import dataclasses
import hashlib
import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from stored_pieces import counted_arrays, store

from pipelines import dataset, records
from pipelines.batches import streaming
from pipelines.dataset import Shards, Windows, open_pieces, real_windows
from pipelines.spec import Spec

ROOT = Path(__file__).parents[2]
STEP_BYTES, MEBIBYTE = 8, 2**20  # A step is two float32.
SIZES = [[7, 9, 5, 30], [6, 8, 7], [5, 6], [11, 4, 3, 12, 9], [8]]  # Steps of pieces, by shard.
SHARD_OF = np.repeat(np.arange(5), [4, 3, 2, 5, 1])
GROUP_STEPS = 51  # As many as the first shard has.


@pytest.fixture(name="folder", scope="module")
def prepared_directory(tmp_path_factory):
    """Fifteen pieces in five shards; piece p of t steps holds [p, 0], ..., [p, t - 1]."""
    arrays = iter(counted_arrays(*itertools.chain(*SIZES)))
    shards = [[next(arrays) for _ in sizes] for sizes in SIZES]
    return store(tmp_path_factory.mktemp("stored"), shards)


def on_disk(folder, group_steps=GROUP_STEPS, **chosen):
    """The pieces, with a budget of two groups of so many steps."""
    megabytes = 2 * group_steps * STEP_BYTES / MEBIBYTE
    shards = open_pieces(folder, "train", memory_megabytes=megabytes, **chosen)
    assert isinstance(shards, Shards)
    return shards


def streamed(folder, batch_size=4, seed=1, windows_per_piece=3, **more):
    return Windows(on_disk(folder), 5, batch_size, seed, windows_per_piece, **more)


def batches(windows, first, count, context=None):
    found = itertools.islice(windows.dataset(first, context), count)
    return [{name: value.numpy() for name, value in batch.items()} for batch in found]


def assert_equal(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def test_music_within_the_budget_is_read_into_memory_and_more_stays_on_disk(folder):
    steps = sum(itertools.chain(*SIZES))
    exact = steps * STEP_BYTES / MEBIBYTE
    assert isinstance(open_pieces(folder, "train", memory_megabytes=exact), dataset.Pieces)
    assert isinstance(open_pieces(folder, "train", memory_megabytes=exact * 0.999), Shards)
    with pytest.raises(ValueError, match="memory_megabytes is 0; give a number above 0"):
        open_pieces(folder, "train", memory_megabytes=0)


def test_both_modes_say_the_same_of_the_data_and_give_batches_of_one_form(folder):
    memory = Windows(dataset.load(folder, "train"), 5, 4, seed=1, windows_per_piece=3)
    stream = streamed(folder)
    # 13 of 15 pieces have 5 steps or more; 39 visits are 9 batches of 4.
    assert memory.summary == stream.summary == dataset.Summary(13, 2, 30, 9)
    assert memory.dataset().element_spec == stream.dataset().element_spec
    assert memory.in_memory and not stream.in_memory


def test_streamed_windows_are_consecutive_steps_of_a_piece_with_its_classes(folder):
    for batch in batches(streamed(folder), 0, 20):
        piece, time = batch["music"][..., 0], batch["music"][..., 1]
        assert (piece == piece[:, :1]).all()
        np.testing.assert_array_equal(np.diff(time, axis=1), 1)
        np.testing.assert_array_equal(batch["composer"], piece[:, 0] % 2)


def test_an_epoch_visits_each_piece_in_proportion_to_its_length(folder):
    stream = streamed(folder, batch_size=13)  # 39 visits are 3 batches: none is left out.
    made = batches(stream, 0, 9)
    sizes = np.array(list(itertools.chain(*SIZES)))
    expected = np.where(sizes >= 5, sizes, 0) * 39 / 123  # 130 steps, 7 of them in short pieces.
    orders = set()
    for epoch in range(3):
        music = np.concatenate([batch["music"] for batch in made[3 * epoch : 3 * epoch + 3]])
        visited = music[:, 0, 0].astype(int)
        assert (np.abs(np.bincount(visited, minlength=15) - expected) < 1).all()
        orders.add(tuple(visited))
    assert len(orders) == 3


def test_every_place_of_a_window_in_its_piece_is_as_likely(tmp_path):
    first, second, third = counted_arrays(7, 7, 7)
    store(tmp_path, [[first], [second, third]])
    stream = Windows(on_disk(tmp_path, 7), 4, 100, seed=0, windows_per_piece=400)
    starts = np.concatenate([batch["music"][:, 0, 1] for batch in batches(stream, 0, 10)])
    counts = np.bincount(starts.astype(int))  # Of 1000 draws: 250 each, deviation 14.
    assert len(counts) == 4 and counts.min() > 190 and counts.max() < 310


def test_batches_from_step_k_are_those_that_an_unbroken_run_has_there(folder):
    stream = streamed(folder)  # Groups end within batches.
    whole = batches(stream, 0, 27)
    for first in (5, 13):
        for index, batch in enumerate(batches(stream, first, 4)):
            assert_equal(batch, whole[first + index])
    assert_equal({n: v.numpy() for n, v in stream.batch(26).items()}, whole[26])
    assert not np.array_equal(
        batches(streamed(folder, seed=2), 0, 1)[0]["music"], whole[0]["music"]
    )


def test_what_is_read_from_step_k_is_the_rest_of_what_an_unbroken_run_reads(folder):
    stream = streamed(folder)
    long_enough = np.flatnonzero(np.array(list(itertools.chain(*SIZES))) >= 5)
    plan = streaming.Plan(on_disk(folder).subset(long_enough), stream.sampling, 9)

    def visits(first):
        """Epoch, group and visit of each row of the batches `first` to 26."""
        found = {}
        for portion in plan.portions(first):
            if portion.row >= 27 * 4:
                return found
            for visit in range(portion.visits):
                found[portion.row + visit] = (*portion[:2], portion.first_visit + visit)

    whole = visits(0)
    assert list(whole) == list(range(27 * 4)) and len(set(whole.values())) == 27 * 4
    for first in range(27):
        assert visits(first) == {row: whole[row] for row in range(first * 4, 27 * 4)}


def test_a_batch_larger_than_a_group_takes_rows_of_several(folder):
    stream = Windows(on_disk(folder), 5, 13, seed=4)
    epochs = batches(stream, 0, 6)
    sizes = np.array(list(itertools.chain(*SIZES)))
    expected = np.where(sizes >= 5, sizes, 0) * 13 / 123
    for batch in epochs:
        counts = np.bincount(batch["music"][:, 0, 0].astype(int), minlength=15)
        assert (np.abs(counts - expected) < 1).all()
    assert_equal(batches(stream, 4, 1)[0], epochs[4])


def test_groups_are_whole_shards_that_fit_half_the_budget_in_an_order_of_each_epoch(folder):
    shards = on_disk(folder)
    plan = streaming.Plan(shards, streamed(folder).sampling, 9)
    epochs = [plan.groups(epoch) for epoch in range(4)]
    for groups in epochs:
        assert sorted(np.concatenate(groups).tolist()) == list(range(15))
        assert all(shards.sizes[group].sum() <= GROUP_STEPS for group in groups)
        for before, after in itertools.pairwise(groups):  # None could have been taken earlier.
            taken = SHARD_OF[after] == SHARD_OF[after[0]]
            assert shards.sizes[before].sum() + shards.sizes[after[taken]].sum() > GROUP_STEPS
    orders = {tuple(SHARD_OF[np.concatenate(groups)]) for groups in epochs}
    assert len(orders) > 1


def test_a_shard_above_half_the_budget_is_read_in_parts(folder):
    units = streaming.units_of(on_disk(folder, group_steps=30))
    # 7 + 9 + 5 steps, 30 | 21 | 11 | 11 + 4 + 3 + 12, 9 | 8
    assert [unit.pieces.tolist() for unit in units] == [
        [0, 1, 2], [3], [4, 5, 6], [7, 8], [9, 10, 11, 12], [13], [14],
    ]  # fmt: skip
    assert [unit.bytes // STEP_BYTES for unit in units] == [21, 30, 21, 11, 30, 9, 8]
    stream = Windows(on_disk(folder, group_steps=30), 5, 13, seed=0)
    assert len(set(batches(stream, 0, 1)[0]["music"][:, 0, 0])) >= 10  # Of 13, one long.


def test_a_piece_above_half_the_budget_is_named_with_what_it_takes(tmp_path):
    arrays = [np.zeros((100, 2), np.float32), np.zeros((400_000, 2), np.float32)]
    store(tmp_path, [arrays])
    with pytest.raises(ValueError, match=r"piece 001 takes 3\.1 MB.*--memory_megabytes=7 or more"):
        Windows(open_pieces(tmp_path, "train", memory_megabytes=3), 4, 1, seed=0)


def test_chosen_pieces_alone_are_read(folder):
    haydn = on_disk(folder, 30, composer=["haydn"])
    assert [haydn.key_of(piece) for piece in (0, 6)] == ["piece 001", "piece 013"]
    stream = Windows(haydn, 5, 6, seed=0)
    (batch,) = batches(stream, 0, 1)
    # Pieces of 9, 30, 8, 5, 11, 3 and 9 steps; that of 3, 11, is left out.
    counts = np.bincount(batch["music"][:, 0, 0].astype(int), minlength=14)
    expected = np.array([0, 9, 0, 30, 0, 8, 0, 5, 0, 11, 0, 0, 0, 9]) * 6 / 72
    assert (np.abs(counts - expected) < 1).all()
    assert batch["composer"].tolist() == [1] * 6


def test_a_piece_that_is_asked_for_twice_is_read_twice(folder):
    shards = on_disk(folder)
    twice = shards.read(np.array([2, 2, 3]))
    assert twice.keys == tuple(shards.read(np.array([i])).keys[0] for i in (2, 2, 3))


def test_real_windows_of_stored_pieces_come_from_shards_that_fit_half_the_budget(folder):
    windows = real_windows(on_disk(folder), count=20, window_steps=5, seed=3)
    assert all(window.shape == (5, 2) for window in windows)
    for window in windows:
        np.testing.assert_array_equal(np.diff(window[:, 1]), 1)
    again = real_windows(on_disk(folder), count=20, window_steps=5, seed=3)
    np.testing.assert_array_equal(windows, again)


def test_the_parts_of_replicas_are_rows_of_the_whole_batch_in_both_modes(folder):
    for pieces in (dataset.load(folder, "train"), on_disk(folder)):
        windows = Windows(pieces, 5, 6, 1, 3, transform=lambda music, uniform: music + uniform)
        whole = batches(windows, 2, 9)
        # Two replicas of one worker take turns; the second of three workers has two of six.
        for shape, own, size in (((1, 0, 2), 2, 3), ((3, 1, 6), 2, 1), ((2, 1, 2), 1, 3)):
            parts = batches(windows, 2, 9 * own, tf.distribute.InputContext(*shape))
            for index, batch in enumerate(whole):
                for replica in range(own):
                    first = (shape[1] * own + replica) * size
                    expected = {name: v[first : first + size] for name, v in batch.items()}
                    assert_equal(parts[index * own + replica], expected)


def test_a_batch_that_cannot_be_dealt_out_evenly_is_refused(folder):
    with pytest.raises(ValueError, match="a batch of 4 cannot be divided evenly among 3 replicas"):
        streamed(folder).dataset(0, tf.distribute.InputContext(1, 0, 3))


# Processes of their own.


def run(code, *arguments):
    """Runs a program; gives the last line that it printed."""
    environment = {"PYTHONPATH": f"{ROOT}:{Path(__file__).parent}", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().split("\n")[-1]


MIRRORED = """
import itertools, sys
import numpy as np, tensorflow as tf
from pipelines import dataset
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
tf.config.experimental.enable_op_determinism()
tf.random.set_seed(0)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
compared = 0
for pieces in (
    dataset.load(sys.argv[1], "train"),
    dataset.open_pieces(sys.argv[1], "train", memory_megabytes=float(sys.argv[2])),
):
    windows = dataset.Windows(pieces, 5, 4, 1, 3)
    parts = strategy.distribute_datasets_from_function(lambda context: windows.dataset(3, context))
    for whole, part in itertools.islice(zip(windows.dataset(3), parts), 20):
        rows = strategy.experimental_local_results(part["music"])
        assert [row.shape for row in rows] == [(2, 5, 2)] * 2
        np.testing.assert_array_equal(np.concatenate(rows), whole["music"])
        compared += 1
print(compared, strategy.num_replicas_in_sync, type(pieces).__name__)
"""


def test_two_mirrored_devices_get_the_batch_of_one_between_them_in_both_modes(folder):
    megabytes = 2 * GROUP_STEPS * STEP_BYTES / MEBIBYTE
    assert run(MIRRORED, folder, megabytes) == "40 2 Shards"


MEMORY = """
import itertools, re, sys
from pathlib import Path
from pipelines import dataset
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
def read(data_dir, megabytes):
    before = peak()
    pieces = dataset.open_pieces(data_dir, "train", memory_megabytes=megabytes)
    windows = dataset.Windows(pieces, 64, 8, 0, 2)
    for batch in itertools.islice(windows.dataset(), windows.summary.steps_per_epoch):
        pass
    return type(pieces).__name__, peak() - before
read(sys.argv[1], 0.25)
print(*read(sys.argv[2], 20), *read(sys.argv[2], 1024))
"""


def test_memory_stays_in_the_budget_whatever_the_size_of_the_data(tmp_path):
    small, large = tmp_path / "small", tmp_path / "large"
    small.mkdir(), large.mkdir()
    music = np.random.default_rng(0).normal(size=(32, 2**15, 2)).astype(np.float32)
    store(small, [[steps[:1024] for steps in music]])
    store(large, [list(music)] * 12)  # 12 shards of 32 pieces of 256 KB: 96 MB.
    first, streamed_mb, second, memory_mb = run(MEMORY, small, large).split()
    assert (first, second) == ("Shards", "Pieces")
    # Two groups of 10 MB, and what Python and TensorFlow take beside them.
    assert float(streamed_mb) < 20 + 24
    assert 60 < float(memory_mb) < 96 + 44  # The same program sees what is held, once.


# Damage.


def copy_with(folder, target, change):
    """Stores the pieces again and changes the bytes of the first shard."""
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    shard = target / records.shard_name("train", 0, 5)
    shard.write_bytes(change(shard.read_bytes()))
    return target


def test_a_shard_that_was_cut_is_refused_before_anything_begins(folder, tmp_path):
    cut = copy_with(folder, tmp_path / "cut", lambda content: content[:-1])
    with pytest.raises(ValueError, match=r"train-00000-of-00005.* not of \d+ bytes.*prepare again"):
        on_disk(cut)


def test_a_changed_byte_is_found_when_the_shard_is_read(folder, tmp_path):
    changed = copy_with(
        folder, tmp_path / "changed", lambda c: c[:200] + bytes([c[200] ^ 1]) + c[201:]
    )
    shards = on_disk(changed)
    with pytest.raises(ValueError, match=r"train-00000.*is not what was written.*prepare again"):
        shards.read()
    with pytest.raises(tf.errors.OpError, match=r"train-00000.*is not what was written"):
        batches(Windows(shards, 5, 4, seed=0), 0, 3)


@pytest.mark.parametrize(
    "damage", [lambda shard: shard.write_bytes(shard.read_bytes()[:-9]), Path.unlink]
)
def test_a_shard_cut_or_deleted_while_it_is_read_is_named_in_one_sentence(folder, tmp_path, damage):
    copy = copy_with(folder, tmp_path / "copy", lambda content: content)
    windows = Windows(on_disk(copy), 5, 4, seed=0)
    for shard in copy.glob("train-*"):
        damage(shard)
    expected = r"train-0000\d.*; delete .* and prepare again$"
    with pytest.raises(ValueError, match=expected) as said, streaming.faults_in_words():
        batches(windows, 0, 3)
    assert "\n" not in str(said.value) and "Traceback" not in str(said.value)


def test_another_fault_of_tensorflow_passes_as_it_is():
    refused = tf.errors.InvalidArgumentError
    with pytest.raises(refused, match="a fault"), streaming.faults_in_words():
        raise refused(None, None, "a fault")


def test_a_record_that_is_none_of_the_spec_is_refused(tmp_path):
    (tmp_path / "stored").mkdir()
    folder = store(
        tmp_path / "stored",
        [[np.array([1, 2, 9], "i4")]],
        Spec("tokens", (None,), "int32", 9, "event"),
    )
    with pytest.raises(ValueError, match=r"train-00000.*holds what is no record of ours"):
        open_pieces(folder, "train")


def test_rows_that_are_not_those_of_the_shards_are_refused(folder):
    shards = on_disk(folder)
    mixed = dataclasses.replace(shards, sizes=shards.sizes[[1, 0, *range(2, 15)]])
    with pytest.raises(ValueError, match=r"train-00000.*another piece than pieces.jsonl says"):
        mixed.read()
    mixed = dataclasses.replace(shards, key_checksums=shards.key_checksums[::-1])
    with pytest.raises(ValueError, match=r"train-00000.*another piece than pieces.jsonl says"):
        mixed.read()


def test_tokens_and_rolls_keep_their_type_on_the_way_through_disk(tmp_path):
    for dtype, shape in (("uint16", (None,)), ("uint8", (None, 2, 3))):
        folder = tmp_path / dtype
        folder.mkdir()
        arrays = [
            (np.arange(np.prod((9, *shape[1:]))) + 50 * piece).astype(dtype).reshape(9, *shape[1:])
            for piece in range(4)
        ]
        kind = {1: "tokens", 3: "roll"}[len(shape)]
        store(folder, [arrays[:2], arrays[2:]], Spec(kind, shape, dtype, 256, "step"))
        megabytes = 3 * arrays[0].nbytes / MEBIBYTE
        shards = open_pieces(folder, "train", memory_megabytes=megabytes)
        assert isinstance(shards, Shards)
        batch = batches(Windows(shards, 9, 4, seed=0), 0, 1)[0]["music"]
        assert batch.dtype == dtype
        np.testing.assert_array_equal(sorted(batch.tolist()), [a.tolist() for a in arrays])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"steps": 10**11}, "train-00000.*is not what was written"),
        ({"steps": -1}, "is in no shard"),
        ({"index": 2**70}, "is in no shard"),
        ({"shard": "elsewhere"}, "is in no shard"),
        ({"steps": "5"}, r"pieces.jsonl, line 1 is no row; expected key \(a text\), split"),
        ({"key": None}, "line 1 is no row"),
    ],
)
def test_a_row_that_no_shard_can_hold_is_refused_before_memory_is_taken(
    folder, tmp_path, row, said
):
    copy = copy_with(folder, tmp_path / "copy", lambda content: content)
    first, *others = (copy / "pieces.jsonl").read_text().splitlines()
    lines = "\n".join([json.dumps({**json.loads(first), **row}), *others, ""])
    (copy / "pieces.jsonl").write_text(lines)
    manifest = records.read_manifest(copy)
    sha256 = hashlib.sha256(lines.encode()).hexdigest()
    facts = {**manifest.tables["pieces"], "bytes": len(lines), "sha256": sha256}
    tables = {**manifest.tables, "pieces": facts}
    changed = dataclasses.replace(manifest, tables=tables)
    (copy / records.MANIFEST).write_bytes(changed.to_bytes())
    with pytest.raises(ValueError, match=said):
        dataset.load(copy, "train")
