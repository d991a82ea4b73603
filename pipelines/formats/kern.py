"""Reads Humdrum **kern as written music: spines that split and join, dynamics, expansion lists.

Each **kern spine is a part and a track, the rightmost the first. Pitches are those that sound, as
kern writes them. Notes between *cue and *Xcue, and those with a signifier that the file declares
to mean cue notes, are silent, and take their time.
"""

from __future__ import annotations

import io
import re
from collections import defaultdict
from fractions import Fraction

from pipelines.formats import kern_tokens
from pipelines.formats.dynamics import DynamicsInForce, velocity_of_level
from pipelines.formats.kern_spines import MOST_SPINES, PATHS, Spine, changed
from pipelines.formats.kern_tokens import PROGRAMS, parse_note
from pipelines.formats.written_music import (
    MOST_NOTES,
    Section,
    WrittenMusic,
    WrittenNote,
    check_count,
    check_time,
)

# Spines that are not read, by the beginning of their names.
_OTHER_SPINES = {
    "text": "spines of lyrics",
    "silbe": "spines of lyrics",
    "lyrics": "spines of lyrics",
}


def read(content: bytes) -> WrittenMusic:
    """Reads a file.

    Raises:
      ValueError: it is no Humdrum file, or has no **kern spine; the text names the line.
    """
    reader = _Reader()
    lines = io.TextIOWrapper(io.BytesIO(content), encoding=_encoding(content))
    for number, line in enumerate(lines, start=1):
        try:
            reader.read_line(line.rstrip("\n"))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
    return reader.finish()


def _encoding(content: bytes) -> str:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8-sig"


class _Reader:
    def __init__(self) -> None:
        self.music = WrittenMusic()
        self.spines: list[Spine] = []
        self.now = Fraction(0)
        self.parts = 0
        self.programs: dict[int, int] = {}
        self.staff_parts: defaultdict[str, set[int]] = defaultdict(set)
        self.dynamics = DynamicsInForce()
        self.meters: list[tuple[Fraction, int, int, int]] = []  # time, part, and the meter
        self.keys: list[tuple[Fraction, int, int, bool]] = []
        self.key_names: set[tuple[Fraction, int]] = set()  # Time and part of those with a tonic.
        self.odd_keys: set[Fraction] = set()
        self.tempi: dict[Fraction, float] = {}
        self.sections: list[Section] = []
        self.labels: list[str] = []  # Of each section.
        self.begin, self.begins_repeat, self.label = Fraction(0), False, ""
        self.expansion: list[str] | None = None
        self.cue_signs: set[str] = set()
        self.has_ended = False

    # Lines.

    def read_line(self, line: str) -> None:
        if not line.strip():
            return
        if line.startswith("!!"):
            self._read_record(line)
            return
        tokens = line.split("\t")
        check_count(tokens, MOST_SPINES, "spines")
        if not self.spines:
            self._begin(tokens)
            return
        if len(tokens) != len(self.spines):
            raise ValueError(f"there are {len(tokens)} tokens; expected {len(self.spines)}")
        if line.startswith("*"):
            self._read_interpretations(tokens)
        elif line.startswith("="):
            self._read_barline(tokens[0])
        elif not line.startswith("!"):
            self._read_data(tokens)

    def _read_record(self, line: str) -> None:
        title = re.match(r"!!!OTL[^:]*:\s*(.*)", line)
        cue = re.match(r"!!!RDF\*\*kern[^:]*:\s*(\S)\s*=.*\bcue\b", line, re.IGNORECASE)
        if title and not self.music.title:
            self.music.title = title[1].strip()
        if cue:
            self.cue_signs.add(cue[1])

    def _begin(self, tokens: list[str]) -> None:
        if self.has_ended:
            raise ValueError("another score begins; files of several are not read")
        if not all(token.startswith("**") for token in tokens):
            raise ValueError(
                f"{tokens[0][:40]!r} is there; expected names of spines such as **kern"
            )
        for token in tokens:
            self._name(self._add_spine(len(self.spines)), token)

    def _add_spine(self, at: int) -> Spine:
        spine = Spine(end=self.now)
        self.spines.insert(at, spine)
        return spine

    def _name(self, spine: Spine, token: str) -> None:
        spine.kind = token[2:]
        if spine.kind == "kern":
            spine.part = self.parts
            self.parts += 1
        else:
            left = [other.part for other in self.spines[: self.spines.index(spine)]]
            spine.part = max((part for part in left if part >= 0), default=0)
            if spine.kind not in ("dynam", "dyn"):
                name = _OTHER_SPINES.get(spine.kind, "spines of other kinds than kern")
                self.music.left_out[name] += 1

    # Interpretations.

    def _read_interpretations(self, tokens: list[str]) -> None:
        for spine, token in zip(self.spines, tokens, strict=True):
            if token.startswith("**"):
                self._name(spine, token)
            elif token.startswith("*>"):
                self._read_label(token[2:])
            elif token.startswith("*staff"):
                self._read_staff(spine, token[6:])
            elif spine.kind == "kern" and token not in ("*", *PATHS):
                self._read_tandem(spine, token)
        if any(token in PATHS for token in tokens):
            self._change_spines(tokens)

    def _change_spines(self, tokens: list[str]) -> None:
        spines = changed(self.spines, tokens, self.now)
        if not spines:
            self._catch_up()
            self.has_ended = True
        self.spines = spines

    def _catch_up(self) -> None:
        """Moves on to where all that sounds has ended."""
        self.now = max([self.now, *(s.end for s in self.spines if s.kind == "kern")])

    def _read_staff(self, spine: Spine, text: str) -> None:
        spine.staves = tuple(re.findall(r"\d+", text))
        if spine.kind == "kern":
            for staff in spine.staves:
                self.staff_parts[staff].add(spine.part)

    def _read_tandem(self, spine: Spine, token: str) -> None:
        if token.startswith("*MM"):
            found = re.fullmatch(r"\*MM(\d{1,4}(?:\.\d{1,6})?)", token, re.ASCII)
            if found and float(found[1]):
                self.tempi[self.now] = float(found[1])
            else:
                self.music.left_out["tempi in words"] += 1
        elif meter := kern_tokens.meter_of(token):
            self.meters.append((self.now, spine.part, *meter))
        elif token.startswith("*k["):
            sharps = kern_tokens.sharps_of(token)
            if sharps is None:
                self.odd_keys.add(self.now)
            elif (self.now, spine.part) not in self.key_names:
                self.keys.append((self.now, spine.part, sharps, False))
        elif key := kern_tokens.key_of(token):
            self.keys.append((self.now, spine.part, *key))
            self.key_names.add((self.now, spine.part))
        elif token.startswith("*I") and token[2:] in PROGRAMS:
            self.programs[spine.part] = PROGRAMS[token[2:]]
        elif token in ("*cue", "*Xcue"):
            spine.is_cue = token == "*cue"

    # Sections.

    def _read_label(self, text: str) -> None:
        listed = re.fullmatch(r"\[(.*)\]", text)
        if listed:
            self.expansion = [name.strip() for name in listed[1].split(",")]
        elif "[" not in text and text != self.label:
            self._end_section()
            self.label = text

    def _read_barline(self, token: str) -> None:
        self._catch_up()
        self._end_section()
        if re.search(r":[|!:]", token) and self.sections:
            self.sections[-1].times = 2
        self.begins_repeat |= re.search(r"[|!:]:", token) is not None

    def _end_section(self) -> None:
        if self.now == self.begin:
            return
        self.sections.append(Section(self.begin, self.now, self.begins_repeat))
        self.labels.append(self.label)
        self.begin, self.begins_repeat = self.now, False

    # Notes.

    def _read_data(self, tokens: list[str]) -> None:
        for spine, token in zip(self.spines, tokens, strict=True):
            if token == ".":
                continue
            if spine.kind == "kern":
                self._read_notes(spine, token)
            elif spine.kind in ("dynam", "dyn"):
                self._read_dynamic(spine, token)
        ends = [s.end for s in self.spines if s.kind == "kern" and s.end > self.now]
        self.now = check_time(min(ends, default=self.now))

    def _read_notes(self, spine: Spine, token: str) -> None:
        length = None
        for text in token.split():
            self._count(text)
            note = parse_note(text)
            if note.is_grace:
                self.music.left_out["grace notes"] += 1
                continue
            if length is None:
                length = note.length
                self._move(spine, length)
            own = note.length or length
            if own is None or note.is_rest:
                continue
            if spine.is_cue or self.cue_signs & set(text):
                self.music.left_out["cue notes"] += 1
            elif note.pitch is None:
                self.music.left_out["unpitched notes"] += 1
            elif not 0 <= note.pitch <= 127:
                self.music.left_out["notes outside MIDI's pitches"] += 1
            else:
                self._add_note(spine, note, own)

    def _move(self, spine: Spine, length: Fraction | None) -> None:
        if length is None:
            self.music.doubtful["notes without a duration"] += 1
            return
        if spine.end > self.now:
            self.music.doubtful["notes that begin before the last has ended"] += 1
        spine.end = self.now + length

    def _add_note(self, spine: Spine, note: kern_tokens.KernNote, length: Fraction) -> None:
        assert note.pitch is not None
        check_count(self.music.notes, MOST_NOTES - 1, "notes")
        self.music.notes.append(
            WrittenNote(
                self.now,
                check_time(self.now + length),
                note.pitch,
                0,  # Velocity, track and program follow when all is read.
                0,
                0,
                spine.part,
                "",
                str(spine.voice),
                note.ties_on,
                note.is_tied,
            )
        )

    def _count(self, text: str) -> None:
        for sign in set(text) & kern_tokens.NOT_READ.keys():
            self.music.left_out[kern_tokens.NOT_READ[sign]] += 1
        if kern_tokens.ARTICULATIONS.search(text):
            self.music.left_out["articulated notes"] += 1

    def _read_dynamic(self, spine: Spine, token: str) -> None:
        velocity = velocity_of_level(token)
        if velocity is not None:
            self.dynamics.add(self.now, lambda part: self._holds_for(spine, part), velocity)
        elif re.search("[a-z]", token):
            self.music.left_out["dynamic accents"] += 1
        if re.search("[<>]", token):
            self.music.left_out["hairpins"] += 1

    # The whole.

    def finish(self) -> WrittenMusic:
        """Gives the music when all lines are read. ValueError where there is no spine of kern."""
        if not self.parts:
            raise ValueError("it has no **kern spine")
        music = self.music
        self._catch_up()
        self._end_section()
        music.sections = self.sections or [Section(Fraction(0), Fraction(0))]
        music.tempi = sorted(self.tempi.items())
        music.meters = [m[:1] + m[2:] for m in self.meters if m[1] == _first(self.meters)]
        music.keys = [k[:1] + k[2:] for k in self.keys if k[1] == _first(self.keys)]
        music.left_out["keys without a number of sharps"] += len(self.odd_keys)
        music.order = self._order()
        for note in music.notes:
            note.velocity = self.dynamics.velocity(note.onset, note.part)
            note.track = self.parts - 1 - note.part
            note.program = self.programs.get(note.part, 0)
        return music

    def _order(self) -> list[int] | None:
        """The sections that the expansion list says; none where it names one that is not there."""
        if self.expansion is None:
            return None
        if not set(self.expansion) <= set(self.labels):
            return []
        names = ["", *self.expansion]  # What stands before the first label comes first.
        return [n for name in names for n, label in enumerate(self.labels) if label == name]

    def _holds_for(self, spine: Spine, part: int) -> bool:
        """Whether dynamics of a spine hold for a part: that of its staves, or left of it."""
        named = [self.staff_parts.get(staff, set()) for staff in spine.staves]
        return part in set().union(*named) if any(named) else part == spine.part


def _first(events: list[tuple]) -> int:
    """The part of the first track that has any."""
    return max((event[1] for event in events), default=0)
