"""abc_text: a tune as text in ABC notation, a token a character, as Char-RNNs read it.

Tokens are the printable characters of ASCII, and the end of a line. Any other byte of the
text in UTF-8 is three tokens, `escape` and two hexadecimal digits, so that no text is
lost and the vocabulary stays small. A tune stands between `begin` and `end`.

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
from typing import ClassVar, Literal

import numpy as np

from pipelines.codecs import codec
from pipelines.command_line import flag
from pipelines.formats import abc_notation, abc_writing
from pipelines.formats.abc_tokens import FIELD_LINE, lines_outside_blocks, spread_said
from pipelines.score import Score

BEGIN, END, ESCAPE, NEWLINE, PRINTABLE = 0, 1, 2, 3, 4
CHARACTERS = 95  # Space to tilde.
SIZE = PRINTABLE + CHARACTERS
MUSIC_FIELDS = "KLMPQVY"  # Those that change what is played.

_COMMENT = re.compile(r"\s*(?<!\\)%.*")


@dataclasses.dataclass(frozen=True)
class Codec(codec.Codec):
    """Characters of ABC notation.

    Raises ValueError when a field is out of its range.
    """

    name: ClassVar[str] = "abc_text"

    headers: Literal["music", "none", "whole"] = flag(
        "music",
        "fields that are kept: music is meter, unit length, key, tempo, parts and voices; none "
        "leaves only the notes; whole is the text as it stands",
    )

    def __post_init__(self) -> None:
        choices = ("music", "none", "whole")
        self.require(self.headers in choices, f"headers is one of {', '.join(choices)}")

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
    def spec(self) -> codec.Spec:
        """Tokens [character] of uint8."""
        return codec.Spec("tokens", (None,), "uint8", SIZE, "character", self.blocks)

    def encode(self, score: Score) -> np.ndarray:
        """Gives uint8 [character]; of a Score without a tune, see above, none at all."""
        tune = score.abc or abc_writing.to_abc(score)
        return tokens(self.stripped(tune)) if tune else np.zeros(0, np.uint8)

    def decode(self, array: np.ndarray) -> codec.Decoded:
        """Gives the tune, its headers restored, and the Score of what can be read of it. Total.

        Dropped are tokens that are no characters and those that follow `end`, and in the text
        what cannot be read and characters without a meaning; all of it stays in `score.abc`.
        """
        text, dropped = text_of(np.asarray(array))
        reading = abc_notation.read_tune(self.restored(text), goes_on=True)
        meaningless = reading.doubtful.get(abc_notation.MEANINGLESS, 0)
        return codec.Decoded(reading.score, dropped + reading.faults + meaningless)

    def text(self, array: np.ndarray) -> str:
        """Gives the tune of an array, its headers restored: what `decode` reads."""
        return self.restored(text_of(np.asarray(array))[0])

    def stripped(self, tune: str) -> str:
        """Gives the text of a tune without what `headers` leaves out."""
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
        """Gives the text of a tune with the fields that readers of ABC ask for."""
        if self.headers == "whole":
            return text
        if self.headers == "none":
            return f"X:1\nT:\nM:4/4\nL:1/8\nK:C\n{text}"
        has_key = any(_field(line) == "K" for line in text.split("\n"))
        return f"X:1\nT:\n{text}" if has_key else f"X:1\nT:\nK:C\n{text}"


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
    """Gives the text of integers [token], and how many tokens are no part of it.

    `BEGIN` is passed over wherever it stands: batches are filled up with it.
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


_ESCAPED = re.compile(rb"\x1b([0-9a-f]{2})?")
_NO_UTF_8 = re.compile("[\udc80-\udcff]")
_TOKEN_OF_BYTE = np.full(256, ESCAPE, np.uint8)
_TOKEN_OF_BYTE[32:127] = np.arange(PRINTABLE, SIZE)
_TOKEN_OF_BYTE[ord("\n")] = NEWLINE
_TOKEN_OF_DIGIT = _TOKEN_OF_BYTE[np.frombuffer(b"0123456789abcdef", np.uint8)]
_BYTE_OF_TOKEN = np.concatenate([[0, 0, 27, 10], np.arange(32, 127)]).astype(np.uint8)
