"""sixteenths: a piece as text: one character per voice for each 16th, then a space.

The text of Bach chorales that a char-RNN learns: each 16th is a frame of one character per
voice, followed by a space. Unlike there, a character distinguishes onset and hold: a note is
one onset character of its pitch (block `strike`), then a `hold` character for each further
16th, so that a repeated note differs from a held one.

Which voice a note goes to: where there are no more tracks than voices, a track is a voice, in
the order of their numbers, and has one note at a time. Otherwise, and where that keeps more
onsets (of equally many: longer notes), a key has one note at a time; of all that sound the
highest stay, as many as there are voices (a lower note ends where that many others sound
above it, or is lost); and notes go, in order of onset and from the highest down, to the first
free voice, and stay there. With `voices=0` tracks are voices only where each has one note at a
time as written, so that no onset and no duration is lost.

How a text is decoded: an onset character begins a note, and hold characters of its pitch in
the same voice of the next frames prolong it. What stands between two spaces is a frame, and so
is what follows the last space. Voices without a character rest. Characters beyond the number
of voices, and holds that continue no note, are dropped; a run of them counts as one note.

Lost: tempo (one fixed tempo comes back), velocity, pedal, meters, keys, programs, drums;
pitches outside of the range; time below a 16th and after `LONGEST_FRAMES`; what is above the
number of voices. Of two notes of one voice in a 16th the longer in 16ths stays, of two as long
the lower; a note ends where the next of its voice begins. With voices that are no tracks:
unisons, and the rest of a note that is repeated while it sounds.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from pipelines.codecs.codec import Decoded, Onsets
from pipelines.codecs.note_codec import NoteCodec, padded
from pipelines.grid import one_note_per_key, round_ratio, steps_of
from pipelines.note_tensors import in_rows, one_note_per_pitch
from pipelines.score import Score
from pipelines.score_arrays import NOTE, TEMPO
from pipelines.settings import flag
from pipelines.spec import DType, Spec

FRAMES_PER_QUARTER = 4
VELOCITY = 96
REST, SPACE, STRIKE = 0, 1, 2  # `strike`: onsets; the holds follow them.
MOST_VOICES = 128
LONGEST_FRAMES = 2**20  # 36 hours at 120 quarter notes per minute.
REST_CHARACTER, FIRST_CHARACTER = 34, 34  # The text's '"', and what is added to a pitch.


class Voiced(NamedTuple):
    """The notes of a Score in frames, int64 [note]; `row` is the pitch minus lowest_pitch."""

    onset: np.ndarray
    length: np.ndarray
    row: np.ndarray
    voice: np.ndarray

    def keeps(self) -> tuple[int, int]:
        """Counts the onsets, and the frames in which keys sound, unisons once."""
        sounding = steps_of(self.onset, self.length) * 128 + np.repeat(self.row, self.length)
        return len(np.unique(self.onset * 128 + self.row)), len(np.unique(sounding))


class Found(NamedTuple):
    """The notes of a batch of texts in one list, sorted by row: int32 tensors [note]."""

    row: Any
    onset: Any
    length: Any
    pitch: Any
    voice: Any


@dataclasses.dataclass(frozen=True)
class Codec(NoteCodec):
    """Tokens [character]: rest, space, and an onset and a hold of each pitch.

    Raises ValueError where a field is out of its bounds.
    """

    name: ClassVar[str] = "sixteenths"

    voices: int = flag(
        4,
        "voices: characters per 16th; 0: as many as the piece needs",
        at_least=0,
        at_most=MOST_VOICES,
    )
    lowest_pitch: int = flag(
        21,
        "MIDI key number of the lowest pitch; 21 is the lowest key of a piano",
        at_least=0,
        at_most=127,
    )
    pitches: int = flag(
        88, "number of pitches; lowest_pitch + pitches is at most 128", at_least=1, at_most=128
    )
    quarters_per_minute: float = flag(
        80.0, "tempo of decoded pieces, quarter notes per minute", at_least=10, at_most=1000
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            self.lowest_pitch + self.pitches <= 128,
            f"lowest_pitch is {self.lowest_pitch}, pitches {self.pitches}; give a range in 0..127",
        )

    @property
    def ticks_per_quarter(self) -> int:
        """4: a tick is a 16th."""
        return FRAMES_PER_QUARTER

    @property
    def microseconds_per_quarter(self) -> int:
        """Tempo of decoded pieces."""
        return round(60_000_000 / self.quarters_per_minute)

    @property
    def _hold(self) -> int:
        """The first token that holds a pitch."""
        return STRIKE + self.pitches

    @functools.cached_property
    def spec(self) -> Spec:
        """Tokens [character] of uint8, or of uint16 where there are more than 256."""
        size = self._hold + self.pitches
        blocks = (
            ("rest", REST, 1),
            ("space", SPACE, 1),
            ("strike", STRIKE, self.pitches),
            ("hold", self._hold, self.pitches),
        )
        dtype: DType = "uint8" if size <= 256 else "uint16"
        return Spec("tokens", (None,), dtype, size, "character", blocks)

    # From a Score to tokens.

    def encode(self, score: Score) -> np.ndarray:
        """Gives tokens [character], from tick 0 to the end of the last note."""
        onset, length, row, voice = self._in_voices(score)
        voices = self.voices or int(voice.max(initial=-1)) + 1
        frames = int((onset + length).max(initial=0))
        text = np.full((frames, voices + 1), REST, self.spec.dtype)
        text[:, voices] = SPACE
        text[steps_of(onset, length), np.repeat(voice, length)] = self._hold + np.repeat(
            row, length
        )
        text[onset, voice] = STRIKE + row
        return text.reshape(-1)

    def _in_voices(self, score: Score) -> Voiced:
        """Gives the notes that the voices can hold."""
        notes = score.notes
        row = notes["pitch"].astype(np.int64) - self.lowest_pitch
        onset, end = (
            round_ratio(ticks, FRAMES_PER_QUARTER, score.ticks_per_quarter)
            for ticks in (notes["onset"], score.end_ticks)
        )
        is_kept = (row >= 0) & (row < self.pitches) & ~notes["is_drum"] & (onset < LONGEST_FRAMES)
        # From the lowest pitch up: of notes that are alike in frames the first stays.
        kept = np.flatnonzero(is_kept)
        kept = kept[np.argsort(row[kept], kind="stable")]
        onset, end, row = onset[kept], np.minimum(end[kept], LONGEST_FRAMES), row[kept]
        voices = self.voices or MOST_VOICES
        tracks, track = np.unique(notes["track"][kept], return_inverse=True)
        of_tracks = None
        if len(tracks) <= voices:
            order, length = one_note_per_key(onset, end, track)
            of_tracks = Voiced(onset[order], length, row[order], track[order])
            if len(order) == len(row) and (length >= (end - onset)[order]).all():
                return of_tracks
        order, length = one_note_per_key(onset, end, row)
        onset, row = onset[order], row[order]
        length = _highest(onset, length, row, voices)
        onset, length, row = (values[length > 0] for values in (onset, length, row))
        order = np.lexsort((-row, onset))
        onset, length, row = onset[order], length[order], row[order]
        highest = Voiced(onset, length, row, _first_free_voice(onset, onset + length))
        # Where there are voices for all keys, nothing is gained by tracks that lose some.
        if of_tracks and self.voices and of_tracks.keeps() >= highest.keeps():
            return of_tracks
        return highest

    # From tokens to notes, in TensorFlow ops.

    def notes(self, arrays: Any, lengths: Any) -> tuple[Any, Any, Any]:
        """See `NoteCodec.notes`. Voices share an instrument: a key has one note at a time."""
        import tensorflow as tf

        found, dropped = self._find(arrays, lengths)
        velocity = tf.fill(tf.shape(found.row), VELOCITY)
        columns = tf.stack([found.onset, found.length, found.pitch, velocity], axis=1)
        row, columns = tf.cast(found.row, tf.int64), tf.cast(columns, tf.int64)
        values, meant = in_rows(row, columns, tf.shape(arrays, tf.int64)[0])
        is_note = tf.sequence_mask(meant, tf.shape(values)[1])
        onset, length, pitch, velocity = tf.unstack(values, axis=2)
        notes, count = one_note_per_pitch(onset, length, pitch, velocity, is_note)
        return notes, count, dropped + meant - count

    def _decode_together(self, arrays: Sequence[np.ndarray]) -> Iterator[Decoded]:
        """Decodes arrays [character] as one batch, with voices as tracks. Total.

        So a unison of two voices, one note in `notes`, is two here.
        """
        found, dropped = self._find(*padded(arrays))
        columns = [np.asarray(column) for column in found]
        tempi = np.array([(0, self.microseconds_per_quarter)], TEMPO)
        for row in range(len(arrays)):
            own = Found(*(column[columns[0] == row] for column in columns))
            notes = np.zeros(len(own.row), NOTE)
            notes["onset"], notes["duration"] = own.onset, own.length
            notes["pitch"], notes["velocity"], notes["track"] = own.pitch, VELOCITY, own.voice
            score = Score.from_unsorted(self.ticks_per_quarter, notes, tempi=tempi)
            yield Decoded(score, int(dropped[row]))

    def _find(self, arrays: Any, lengths: Any) -> tuple[Found, Any]:
        """Finds the notes of tokens [batch, character], and int32 [batch] how many were dropped."""
        import tensorflow as tf

        tokens = tf.cast(arrays, tf.int32)
        batch, time = tf.shape(tokens)[0], tf.shape(tokens)[1]
        counts = tf.range(time)[None, :] < tf.convert_to_tensor(lengths)[:, None]
        is_space = tf.cast(counts & (tokens == SPACE), tf.int32)
        frame = tf.cumsum(is_space, axis=1, exclusive=True)
        place = tf.broadcast_to(tf.range(time)[None, :], [batch, time])
        frame_of_batch = frame + tf.range(batch)[:, None] * time
        first = tf.math.unsorted_segment_min(place, frame_of_batch, batch * time)
        voice = place - tf.gather(first, frame_of_batch)

        is_pitch = counts & (tokens >= STRIKE) & (tokens < self.spec.size)
        row = tf.where(is_pitch)[:, 0]
        token, frame, voice = (tf.boolean_mask(x, is_pitch) for x in (tokens, frame, voice))
        times = tf.cast(time, tf.int64)
        order_key = (row * times + tf.cast(voice, tf.int64)) * times + tf.cast(frame, tf.int64)
        order = tf.argsort(order_key)
        row, token, frame, voice = (tf.gather(x, order) for x in (row, token, frame, voice))
        row, pitch = tf.cast(row, tf.int32), (token - STRIKE) % self.pitches
        is_strike = token < self._hold

        continues = ~is_strike[1:] & (frame[1:] == frame[:-1] + 1)
        for same in (row, voice, pitch):
            continues &= same[1:] == same[:-1]
        begins = tf.concat([tf.ones_like(is_strike[:1]), ~continues], 0)
        note = tf.cumsum(tf.cast(begins, tf.int32)) - 1
        begin = tf.boolean_mask(tf.range(tf.size(note)), begins)
        length = tf.math.unsorted_segment_sum(tf.ones_like(note), note, tf.size(begin))
        row, frame, pitch, voice, is_strike = (
            tf.gather(x, begin) for x in (row, frame, pitch, voice, is_strike)
        )
        is_note = is_strike & (voice < (self.voices or MOST_VOICES))
        dropped = tf.math.unsorted_segment_sum(tf.cast(~is_note, tf.int32), row, batch)
        columns = (row, frame, length, pitch + self.lowest_pitch, voice)
        return Found(*(tf.boolean_mask(x, is_note) for x in columns)), dropped

    def transpose(self, arrays: Any, semitones: Any) -> Any:
        """See `Codec.transpose`."""
        import tensorflow as tf

        tokens = tf.cast(arrays, tf.int32)
        is_pitch = (tokens >= STRIKE) & (tokens < self.spec.size)
        semitones = tf.cast(semitones, tf.int32)[:, None]
        moved = (tokens - STRIKE) % self.pitches + semitones
        leaves = is_pitch & ((moved < 0) | (moved >= self.pitches))
        stays = tf.reduce_any(leaves, axis=1, keepdims=True)
        moved = tf.where(is_pitch & ~stays, tokens + semitones, tokens)
        return tf.cast(moved, self.spec.dtype)

    def onsets(self, arrays: Any) -> Onsets:
        """See `Codec.onsets`. A step is a character; only spaces take time, a 16th each."""
        import tensorflow as tf

        tokens = tf.cast(arrays, tf.int32)
        is_strike = (tokens >= STRIKE) & (tokens < self._hold)
        pitch = tf.where(is_strike, tokens - STRIKE + self.lowest_pitch, 0)
        seconds = self.microseconds_per_quarter / FRAMES_PER_QUARTER / 1e6
        return Onsets(
            tf.one_hot(tf.where(is_strike, pitch % 12, -1), 12),
            tf.cast(pitch, tf.float32),
            tf.where(tokens == SPACE, np.float32(seconds), np.float32(0)),
        )

    def text(self, array: np.ndarray) -> str:
        """Gives the text that char-RNNs of chorales read: a pitch p is chr(p + 34), a rest '"'.

        Onset and hold of a pitch are the same character there.
        """
        pitches = FIRST_CHARACTER + self.lowest_pitch + np.arange(self.pitches)
        characters = np.concatenate([[REST_CHARACTER, ord(" ")], pitches, pitches])
        return "".join(map(chr, characters[np.asarray(array)].tolist()))


def _highest(onset: np.ndarray, length: np.ndarray, row: np.ndarray, voices: int) -> np.ndarray:
    """Gives the lengths of [note] to where `voices` others sound above; 0 where at the onset."""
    frames, rows = int((onset + length).max(initial=0)), int(row.max(initial=0)) + 1
    sounding = np.zeros((frames, rows), np.uint8)
    sounding[steps_of(onset, length), np.repeat(row, length)] = 1
    rank = np.cumsum(sounding[:, ::-1], axis=1, dtype=np.uint8)[:, ::-1]
    frame, crowded = np.nonzero((sounding > 0) & (rank > voices))
    places = np.append(np.sort(crowded * frames + frame), rows * frames)
    following = places[np.searchsorted(places, row * frames + onset)]
    return np.minimum(length, following - row * frames - onset)


def _first_free_voice(onset: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Gives each of [note] the first voice that is free at its onset, in their order.

    The notes of the first voice are a chain: the first note, then always the first that
    begins when the one before has ended. Without them, those of the second are.
    """
    voice, left, number = np.zeros(len(onset), np.int64), np.arange(len(onset)), 0
    while len(left):
        count = len(left)
        hop = np.append(np.searchsorted(onset[left], end[left]), count)
        is_reached = np.arange(count + 1) == 0
        while hop[0] < count:  # What is reached in n hops, then in 2 n.
            is_reached[hop[is_reached]] = True
            hop = hop[hop]
        voice[left[is_reached[:-1]]] = number
        left, number = left[~is_reached[:-1]], number + 1
    return voice
