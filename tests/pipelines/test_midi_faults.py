"""Damaged MIDI: read with a sane result or refused with MidiError, fast and in little memory.

Each set is read in one process of its own, which a signal, a hang or a warning would end.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT / "../shared/data"
SECONDS_A_FILE = 20  # After that it hangs, and its process ends.
MEGABYTES = 500
MUTANTS = 800

READ = """
import faulthandler, random, resource, struct, sys, time
from pathlib import Path
from pipelines.formats import midi, midi_mido
import numpy as np

faulthandler.enable()
resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))  # Address space; what is used is below.

def read(source, name):
    faulthandler.dump_traceback_later({seconds}, exit=True)  # A hang ends the process.
    try:
        reading = midi.read(source)
    except midi.MidiError as error:
        assert error.reason, name
        return 0
    finally:
        faulthandler.cancel_dump_traceback_later()
    score = reading.score
    assert 0 <= score.length_seconds <= midi.LONGEST_SECONDS, name
    assert np.all(np.isfinite(score.onset_seconds)), name
    assert np.all(score.notes["onset"] >= 0) and np.all(score.notes["duration"] >= 1), name
    written = midi.to_bytes(score)
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    assert len(written) <= 4 * size + 1000, name
    # A score that was read can be written and, if it is not too large, read again.
    if len(written) <= midi.LARGEST_BYTES:
        again = midi.read_score(written)
        for field in ("notes", "pedal", "channels"):
            assert np.array_equal(getattr(again, field), getattr(score, field)), name
    return 1

{sources}

accepted = sum(read(source, name) for source, name in sources())
# Not ru_maxrss, which begins with the memory of the process that started this one.
status = Path("/proc/self/status").read_text()
peak = int(status.split("VmHWM:")[1].split()[0]) // 1024
assert peak < {megabytes}, f"peak memory is {{peak}} MB"
print("accepted", accepted)
"""

FILES = """
def sources():
    for path in sorted(Path(sys.argv[1]).rglob("*")):
        if path.suffix.lower() in (".mid", ".rmi", ".midi2", ".kar"):
            yield path, path.name
"""

MUTANTS_OF_FILES = """
def truncated(data, chance):
    return data[:chance.randrange(len(data))]

def flipped(data, chance):
    data = bytearray(data)
    for _ in range(chance.choice([1, 1, 3, 10])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)

def overwritten(data, chance):
    first, size = chance.randrange(len(data)), chance.randrange(1, 64)
    return data[:first] + chance.randbytes(size) + data[first + size:]

def bad_header(data, chance):
    return data[:8] + chance.randbytes(6) + data[14:]

def bad_length(data, chance):
    first = data.find(b"MTrk") + 4
    length = chance.choice([0, 1, 2**16, 2**31, 2**32 - 1, chance.randrange(2**14)])
    return data[:first] + struct.pack(">I", length) + data[first + 4:]

def with_bomb(data, chance):
    first = data.find(b"MTrk") + 8
    length = struct.unpack_from(">I", data, first - 4)[0]
    bomb = chance.choice([
        b"\\xff\\xff\\xff\\x7f\\xff\\x01\\x00" * chance.randrange(1, 40),
        b"\\x00\\xff\\x51\\x03\\xff\\xff\\xff\\xff\\xff\\xff\\x7f\\xff\\x01\\x00",
        b"\\x00\\xff\\x51\\x03\\x00\\x00\\x00",
        b"\\x00\\xff\\x01\\xff\\xff\\xff\\x7f",
        b"\\x00\\x90\\x3c\\x40" + b"\\x00\\x3c\\x40" * chance.randrange(9000),
        b"\\x00\\xff\\x2f\\x00",
    ])
    return data[:first - 4] + struct.pack(">I", length + len(bomb)) + bomb + data[first:]

def with_inserted(data, chance):
    first = chance.randrange(len(data))
    return data[:first] + chance.randbytes(chance.randrange(1, 9)) + data[first:]

def with_deleted(data, chance):
    first = chance.randrange(len(data))
    return data[:first] + data[first + chance.randrange(1, 9):]

# The lengths of chunks mended, so that what is inside is read at all.
def mended(mutant):
    def mutate(data, chance):
        first = data.find(b"MTrk") + 8
        last = first + struct.unpack_from(">I", data, first - 4)[0]
        body = mutant(data[first:last], chance) if last > first else b""
        return data[:first - 4] + struct.pack(">I", len(body)) + body + data[last:]
    return mutate

KINDS = [truncated, flipped, overwritten, bad_header, bad_length, with_bomb, with_inserted,
         with_deleted, *map(mended, (truncated, flipped, overwritten, with_inserted, with_deleted))]

def sources():
    chance = random.Random(20260101)
    folders = [Path(sys.argv[1]) / name for name in ("performances", "scores")]
    files = sorted(path for folder in folders for path in folder.rglob("*.mid"))
    files = [path for path in files if path.stat().st_size < 40_000]
    for index in range({mutants}):
        path, kind = chance.choice(files), KINDS[index % len(KINDS)]
        yield kind(path.read_bytes(), chance), f"mutant {{index}} of {{path}}"
"""


def accepted_of(sources: str, folder: Path, seconds: int) -> int:
    """Reads all sources in a watched process; gives how many were accepted."""
    program = READ.format(
        sources=sources.replace("{mutants}", str(MUTANTS)).replace("{{", "{").replace("}}", "}"),
        seconds=SECONDS_A_FILE,
        megabytes=MEGABYTES,
    )
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(folder)],
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # Its threads reserve address space.
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert finished.stderr == "", "warnings or noise"
    return int(finished.stdout.split()[-1])


def test_every_nasty_file_is_read_or_refused():
    if not DATA.is_dir():
        pytest.skip("needs the malformed files of ../shared/data")
    assert accepted_of(FILES, DATA / "nasty_midi", 240) >= 150


def test_damaged_files_are_read_or_refused():
    if not DATA.is_dir():
        pytest.skip("needs real music in ../shared/data")
    assert MUTANTS / 10 <= accepted_of(MUTANTS_OF_FILES, DATA, 480) <= MUTANTS * 9 / 10


BOMBS = """
def file_of(*tracks):
    header = struct.pack(">4sIHHH", b"MThd", 6, 1, len(tracks), 480)
    return header + b"".join(struct.pack(">4sI", b"MTrk", len(t)) + t for t in tracks)

def sources():
    end, size = b"\\x00\\xff\\x2f\\x00", 7 * 2**20
    statuses = bytes(range(0x90, 0xA0)) + bytes(range(0xB0, 0xC0))
    every_channel = b"\\x00\\xff\\x01" + bytes([len(statuses)]) + statuses + end
    chord = b"".join(b"\\x00" + bytes([0x90 | channel, 60, 64]) for channel in range(16))
    yield file_of(b"\\x00\\xb0\\x40\\x7f" + b"\\x01\\x40\\x7f" * (size // 3) + end), "pedal"
    yield file_of(b"\\x00\\x90\\x3c\\x40" + b"\\x00\\x3c\\x40" * (size // 3) + end), "open notes"
    million = b"\\x01\\x3c\\x00\\x00\\x3c\\x40" * 999_999
    yield file_of(b"\\x00\\x90\\x3c\\x40" + million + end), "notes"
    yield file_of(b"\\x00\\xff\\x51\\x03\\x01\\x01\\x01" * (size // 28) + end), "tempi"
    yield file_of(b"\\x00\\xff\\x05\\x00" * (size // 4) + end), "lyrics"
    yield file_of(*[every_channel] * 1024), "channels"
    yield file_of(*[chord * 33 + end] * 400), "chords left open"
    yield file_of(b"\\xff" * size), "a delta time of megabytes"
    yield file_of(b"\\x00" * size), "zeros"
    # What symusic refuses, a velocity of 255, and then what costs mido most.
    damage, largest = b"\\x00\\x90\\x3c\\xff", midi_mido.LARGEST_BYTES
    programs = b"\\x00\\xc0\\x01" + b"\\x00\\x01" * (largest // 2 - 6) + end
    yield file_of(damage + programs), "messages for mido"
    notes = b"\\x00\\x3c\\x40\\x01\\x3c\\x00" * (largest // 6 - 2)
    yield file_of(damage + notes + end), "notes for mido"
    yield file_of(damage + b"\\xff" * (largest - 4)), "a delta time of half a megabyte for mido"
    deltas = (b"\\xff" * 999 + b"\\x7f\\xc0\\x01") * 500
    yield file_of(damage + b"\\x00\\x3c\\x00" + deltas + end), "delta times for mido"
    yield file_of(*[damage] * 1000), "tracks for mido"
    yield file_of(damage + programs * 16), "more than mido is given"
"""


@pytest.mark.slow
def test_large_bombs_are_read_or_refused(tmp_path):
    assert accepted_of(BOMBS, tmp_path, 240) >= 7
