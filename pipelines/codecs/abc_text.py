"""abc_text: a tune as text in ABC notation, one token per character, as char-RNNs read it.

Tokens are the printable characters of ASCII and the line feed. Any other byte of the text in
UTF-8 is three tokens, `escape` and two hexadecimal digits, so that no text is lost and the
vocabulary stays small. A tune stands between the tokens `begin` and `end`.

A Score that was read from ABC has its text. Of another one the text is written
(`abc_writing`) where each voice is a line of notes or of chords on a grid of 1/24 of a
quarter note; else there is nothing to encode.

Lost: with `headers=music` the lines of fields that are no music (X:, T:, C:, ...; X:1 and
an empty T: come back), comments, blocks of text, blank lines, and directives but
propagate-accidentals, which changes pitches; with `headers=none` those of all
fields (M:4/4, L:1/8 and K:C come back); with `headers=whole` nothing. Of a Score that was no
ABC: velocities, pedal, programs.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from pipelines.codecs import codec
from pipelines.formats import abc_files, abc_notation, abc_writing
from pipelines.formats.abc_tokens import FIELD_LINE, lines_outside_blocks, spread_said
from pipelines.score import Score
from pipelines.settings import flag
from pipelines.spec import Spec

BEGIN, END, ESCAPE, NEWLINE, PRINTABLE = 0, 1, 2, 3, 4
CHARACTERS = 95  # Space to tilde.
SIZE = PRINTABLE + CHARACTERS
MUSIC_FIELDS = "KLMPQVY"  # Those that change what is played.
HEADER, KEY = "X:1\nT:\n", "K:C\n"  # What readers ask for; the key where there is none.
NO_HEADERS = f"{HEADER}M:4/4\nL:1/8\n{KEY}"

_COMMENT = re.compile(r"\s*(?<!\\)%.*")


@dataclasses.dataclass(frozen=True)
class Codec(codec.ScoreCodec):
    """Tokens [character] of ABC notation.

    Raises ValueError where a field is out of its bounds.
    """

    name: ClassVar[str] = "abc_text"
    file: ClassVar[codec.File] = codec.File("text", ".abc", "tune in ABC notation")
    own_suffixes: ClassVar[tuple[str, ...]] = (".txt",)
    starts_anywhere: ClassVar[bool] = False  # The fields at the beginning are those of the tune.

    headers: Literal["music", "none", "whole"] = flag(
        "music",
        "ABC fields to keep: music keeps meter, unit length, key, tempo, parts and voices; none "
        "keeps the notes alone; whole keeps the text as it is",
    )

    @property
    def blocks(self) -> tuple[tuple[str, int, int], ...]:
        """The vocabulary: (name, first, size)."""
        return (
            ("begin", BEGIN, 1),
            ("end", END, 1),
            ("escape", ESCAPE, 1),
            ("newline", NEWLINE, 1),
            ("printable", PRINTABLE, CHARACTERS),
        )

    @property
    def spec(self) -> Spec:
        """Tokens [character] of uint8."""
        return Spec("tokens", (None,), "uint8", SIZE, "character", self.blocks)

    def encode(self, score: Score) -> np.ndarray:
        """Gives uint8 [character]; an empty array for a Score that cannot be written as a tune."""
        tune = score.abc or abc_writing.to_abc(score)
        return tokens(self.stripped(tune)) if tune else np.zeros(0, np.uint8)

    def read(self, path: Path) -> np.ndarray:
        """See `Codec.read`: a text, not necessarily a whole tune, as uint8 [character]."""
        with path.open("rb") as file:
            data = file.read(abc_notation.LARGEST_TUNE + 1)
        if len(data) > abc_notation.LARGEST_TUNE:
            raise ValueError(f"{path} is larger than {abc_notation.LARGEST_TUNE} bytes")
        text = abc_files.decoded(data).replace("\r\n", "\n").replace("\r", "\n")
        return tokens(self.stripped(text))

    def without_end(self, array: np.ndarray) -> np.ndarray:
        """See `Codec.without_end`."""
        ends = np.flatnonzero(array == END)
        return array[: ends[0]] if len(ends) else array

    def decode(self, array: np.ndarray) -> codec.Decoded:
        """Decodes to a tune with its header restored, as far as it can be parsed. Total.

        Dropped: tokens that are no characters, and those after `end`; in the text, what cannot
        be parsed, and characters without a meaning; all of it stays in `score.abc`.
        """
        text, dropped = text_of(np.asarray(array))
        reading = abc_notation.read_tune(self.restored(text), lenient=True)
        meaningless = reading.doubtful.get(abc_notation.MEANINGLESS, 0)
        return codec.Decoded(reading.score, dropped + reading.faults + meaningless)

    def text(self, array: np.ndarray) -> str:
        """Gives the text of an array with its header restored: what `decode` parses."""
        return self.restored(text_of(np.asarray(array))[0])

    def stripped(self, tune: str) -> str:
        """Removes from a tune what `headers` does not keep."""
        if self.headers == "whole":
            return tune
        lines = [_without_comment(line) for _, line in lines_outside_blocks(tune)]
        return "\n".join(filter(self._is_kept, lines))

    def _is_kept(self, line: str) -> bool:
        name, keeps_fields = _field(line), self.headers == "music"
        if name == "I" or line.startswith("%%"):
            return keeps_fields and bool(spread_said(line[2:]))
        return bool(line.strip()) and (not name or (keeps_fields and name in MUSIC_FIELDS))

    def restored(self, text: str) -> str:
        """Adds the fields that every ABC tune must have."""
        if self.headers == "whole":
            return text
        if self.headers == "none":
            return f"{NO_HEADERS}{text}"
        has_key = any(_field(line) == "K" for line in text.split("\n"))
        return f"{HEADER}{text}" if has_key else f"{HEADER}{KEY}{text}"

    @property
    def output_descriptions(self) -> dict[str, str]:
        """See `Codec.output_descriptions`."""
        return {
            "text": "complete tunes in ABC notation, UTF-8",
            "tokens": "the characters as tokens of the codec; zeros after those of a row",
            "token_count": "tokens of each row, that of the end among them",
        }

    def outputs(self, arrays: Any, lengths: Any) -> dict[str, Any]:
        """See `Codec.outputs`: `text` is that of `Codec.text`, tokens int32 [batch, token]."""
        import tensorflow as tf

        tokens = tf.cast(arrays, tf.int32)
        place = tf.range(tf.shape(tokens)[1])[None, :]
        ends = tf.where(tokens == END, place + 1, tf.int32.max)
        count = tf.minimum(lengths, tf.reduce_min(ends, axis=1))
        tokens = tf.where(place < count[:, None], tokens, BEGIN)
        text = self._restored_tensor(_text_tensor(tokens))
        return {
            "text": text,
            "tokens": tokens[:, : tf.reduce_max(count)],
            "token_count": count,
        }

    def _restored_tensor(self, text: Any) -> Any:
        """Gives what `restored` does of strings [batch]."""
        import tensorflow as tf

        if self.headers == "whole":
            return text
        if self.headers == "none":
            return tf.strings.join([NO_HEADERS, text])
        has_key = tf.strings.regex_full_match(text, r"(?s)(.*\n)?K:.*")
        return tf.strings.join([HEADER, tf.where(has_key, "", KEY), text])


def _without_comment(line: str) -> str:
    return line if line.startswith("%%") else _COMMENT.sub("", line)


def _field(line: str) -> str:
    """The letter of a field; "" where the line is music."""
    found = FIELD_LINE.match(line)
    return found[1] if found else ""


def tokens(text: str) -> np.ndarray:
    """Gives uint8 [token] of a text, `BEGIN` and `END` around it."""
    data = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
    token = _TOKEN_OF_BYTE[data]
    width = np.where(token == ESCAPE, 3, 1)
    place = np.cumsum(width) - width
    found = np.empty(int(width.sum()), np.uint8)
    found[place] = token
    escaped, at = data[token == ESCAPE], place[token == ESCAPE]
    found[at + 1], found[at + 2] = _TOKEN_OF_DIGIT[escaped >> 4], _TOKEN_OF_DIGIT[escaped & 15]
    return np.concatenate([[BEGIN], found, [END]]).astype(np.uint8)


def text_of(array: np.ndarray) -> tuple[str, int]:
    """Gives the text of integers [token], and the number of tokens that are no part of it.

    `BEGIN`, with which batches are padded, is skipped wherever it stands.
    """
    ends = np.flatnonzero(array == END)
    last = int(ends[0]) if len(ends) else len(array)
    dropped = int(np.count_nonzero(array[last + 1 :] != BEGIN))
    is_text = (array[:last] >= ESCAPE) & (array[:last] < SIZE)
    dropped += int(np.count_nonzero(~is_text & (array[:last] != BEGIN)))
    escaped = _BYTE_OF_TOKEN[array[:last][is_text]].tobytes()
    data = _ESCAPED.sub(_unescaped, escaped)
    dropped += sum(not digits for digits in _ESCAPED.findall(escaped))
    text = data.decode("utf-8", "surrogateescape")
    kept = _NO_UTF_8.sub("", text)
    return kept, dropped + len(text) - len(kept)


def _unescaped(found: re.Match[bytes]) -> bytes:
    return bytes.fromhex(found[1].decode()) if found[1] else b""


def _text_tensor(tokens: Any) -> Any:
    """Gives the text of int32 [batch, token] as strings [batch], in TensorFlow ops.

    What is no character is passed over, as `text_of` does, wherever it stands.
    """
    import tensorflow as tf

    is_text = (tokens >= ESCAPE) & (tokens < SIZE)
    # The characters first, so that what is between an escape and its digits does not part them.
    order = tf.argsort(tf.cast(~is_text, tf.int32), axis=1, stable=True)
    octet = tf.gather(_BYTE_OF_TOKEN.astype(np.int32), tf.where(is_text, tokens, BEGIN))
    octet = tf.gather(octet, order, batch_dims=1)
    is_text = tf.gather(is_text, order, batch_dims=1)
    digit = tf.pad(tf.gather(_DIGIT_OF_BYTE, octet), [[0, 0], [0, 2]], constant_values=-1)
    high, low = digit[:, 1:-1], digit[:, 2:]
    is_escape = octet == ord("\x1b")
    is_escaped = is_escape & (high >= 0) & (low >= 0)
    before = tf.pad(is_escaped, [[0, 0], [2, 0]])
    is_kept = is_text & (is_escaped | ~is_escape) & ~(before[:, :-2] | before[:, 1:-1])
    octet = tf.where(is_escaped, 16 * high + low, octet)
    # No op makes a string of bytes: they are looked up as strings of one byte each, and joined.
    table = tf.constant([*(bytes([number]) for number in range(256)), b""])
    text = tf.strings.reduce_join(tf.gather(table, tf.where(is_kept, octet, 256)), axis=1)
    return tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="ignore")


_ESCAPED = re.compile(rb"\x1b([0-9a-f]{2})?")
_NO_UTF_8 = re.compile("[\udc80-\udcff]")
_TOKEN_OF_BYTE = np.full(256, ESCAPE, np.uint8)
_TOKEN_OF_BYTE[32:127] = np.arange(PRINTABLE, SIZE)
_TOKEN_OF_BYTE[ord("\n")] = NEWLINE
_TOKEN_OF_DIGIT = _TOKEN_OF_BYTE[np.frombuffer(b"0123456789abcdef", np.uint8)]
_DIGIT_OF_BYTE = np.full(256, -1, np.int32)
_DIGIT_OF_BYTE[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)
_BYTE_OF_TOKEN = np.concatenate([[0, 0, 27, 10], np.arange(32, 127)]).astype(np.uint8)
