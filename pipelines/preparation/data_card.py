"""The data card: a description of a prepared directory, in words, tables and plots.

`data_card.md` and `data_card.png` are made of the manifest and the tables that it names: the
rows of pieces, and the sums of `data_counts.counts` over each split. So no music is read
again. What is not known is stated as unknown.
"""

from __future__ import annotations

import collections
import dataclasses
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines import records
from pipelines.atomic_file import write_atomically
from pipelines.codecs.codec import Codec
from pipelines.manifest import MovedFacts
from pipelines.preparation import data_counts, data_plots, fitting
from pipelines.preparation.data_counts import BLOCKS
from pipelines.preparation.duplicates import kind_of
from pipelines.records import Manifest
from pipelines.shaping import Shaping
from pipelines.spec import Spec
from pipelines.split import SPLITS

CARD, PLOTS = "data_card.md", "data_card.png"
MOST_ROWS = 20  # Of a table that grows with the collection.


@dataclasses.dataclass(frozen=True)
class Totals:
    """Sums over the rows of pieces.

    Attributes:
      seconds: of each split.
      composers: composer -> pieces, notes, and seconds of each split.
      licences: licence -> pieces.
    """

    seconds: dict[str, float]
    composers: dict[str, dict[str, Any]]
    licences: collections.Counter[str]


def is_there(data_dir: Path) -> bool:
    """Tells whether a directory has the card and its plots."""
    return (data_dir / CARD).is_file() and (data_dir / PLOTS).is_file()


def write(data_dir: Path, manifest: Manifest) -> list[Path]:
    """Writes the card and its plots beside the records; gives their paths.

    Args:
      data_dir: holds the tables that the manifest names.
      manifest: of what was prepared.

    Raises:
      ValueError: the tables are damaged.
      OSError: the files cannot be written; older ones stay as they are.
    """
    totals = total(records.read_pieces(data_dir, manifest))
    reasons = collections.Counter[str]()
    for row in records.read_skipped(data_dir, manifest):
        reasons[kind_of(row["reason"])] += 1
    rows = records.read_counts(data_dir, manifest)
    counts = {row["split"]: data_counts.from_names(row) for row in rows}
    hours: dict[str, dict[str, float]] = {
        composer: {split: sums[split] / 3600 for split in SPLITS}
        for composer, sums in totals.composers.items()
    }
    # The plots first: a card never names what is not there.
    write_atomically(data_dir / PLOTS, data_plots.plot(counts, hours))
    text = card(manifest, totals, reasons, counts)
    write_atomically(data_dir / CARD, text.encode("utf-8", "backslashreplace"))
    return [data_dir / CARD, data_dir / PLOTS]


def total(rows: Iterable[Mapping[str, Any]]) -> Totals:
    """Sums the rows of `records.read_pieces`."""
    seconds: dict[str, float] = dict.fromkeys(SPLITS, 0.0)
    composers: dict[str, dict[str, Any]] = {}
    licences: collections.Counter[str] = collections.Counter()
    for row in rows:
        seconds[row["split"]] += row["seconds"]
        sums = composers.setdefault(row["composer"], dict.fromkeys(("pieces", "notes", *SPLITS), 0))
        for name, value in (("pieces", 1), ("notes", row["notes"]), (row["split"], row["seconds"])):
            sums[name] += value
        licences[row["licence"]] += 1
    return Totals(seconds, composers, licences)


def card(
    manifest: Manifest,
    totals: Totals,
    reasons: Mapping[str, int],
    counts: Mapping[str, np.ndarray],
) -> str:
    """Gives the text of the card, Markdown.

    Args:
      manifest: as for `write`.
      totals: of the pieces.
      reasons: why pieces were left out -> how many.
      counts: for each split the sum of `data_counts.counts` of its pieces: int64 [COUNTS].
    """
    codec = manifest.build_codec()
    lines = [f"# {manifest.source['name']} as {codec.name}", ""]
    lines += ["What `pipelines.prepare` made, written by it.", ""]
    lines += _splits(manifest, totals)
    lines += ["", f"![Pitch, velocity, duration, polyphony, length, composers]({PLOTS})", ""]
    ends = "the pedal or the key is up" if manifest.shaping["apply_pedal"] else "the key is up"
    lines += [f"Notes as the codec gets them, before its grid; a note ends where {ends}.", ""]
    lines += _further(counts, manifest.shaping["apply_pedal"])
    lines += ["", "## Source", "", *_source(manifest, totals)]
    lines += ["", "## Composers", "", *_composers(totals)]
    lines += ["", "## Shaping", "", *_shaping(manifest)]
    lines += ["", "## Left out", "", *_left_out(reasons)]
    lines += ["", "## Reading", "", *_reading(manifest.reading)]
    lines += ["", "## Codec", "", *_codec(codec, manifest.spec), *_moved(manifest.moved)]
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    lines += ["", "## Made by", "", f"Read with {versions}; configuration"]
    lines += [f"`{manifest.configuration}`."]
    return "\n".join(lines) + "\n"


def _splits(manifest: Manifest, totals: Totals) -> list[str]:
    rows = [
        (split, part["pieces"], _hours(totals.seconds[split]), part["notes"], part["steps"])
        for split, part in manifest.splits.items()
    ]
    parts = manifest.splits.values()
    pieces = sum(part["pieces"] for part in parts)
    notes, steps = sum(part["notes"] for part in parts), sum(part["steps"] for part in parts)
    rows.append(("all", pieces, _hours(sum(totals.seconds.values())), notes, steps))
    lines = _table(("split", "pieces", "hours", "notes", "steps"), rows)
    rules = [f"{rule}, {count:,}" for rule, count in manifest.split_rules.items() if count]
    return [*lines, "", f"Pieces by what decided their split: {'; '.join(rules) or 'none'}."]


def _further(counts: Mapping[str, np.ndarray], is_pedal_applied: bool) -> list[str]:
    """What the plots do not show."""
    summed = np.sum([counts[split] for split in SPLITS], axis=0)
    pitches = np.flatnonzero(summed[BLOCKS["pitch"]])
    with_sustain = int(summed[BLOCKS["pieces_with_sustain"]][0])
    drums = int(summed[BLOCKS["drum_notes"]][0])
    lines = [] if is_pedal_applied else [f"- Pieces whose sustain pedal moves: {with_sustain}."]
    if len(pitches):
        lines.append(f"- MIDI pitches: {pitches[0]} to {pitches[-1]}.")
    if drums:
        lines.append(f"- Notes of drums: {drums}; they are in no plot.")
    return lines


def _source(manifest: Manifest, totals: Totals) -> list[str]:
    source = manifest.source
    lines = [
        f"- Licence: {_said(source['licence'])}",
        f"- Citation: {_said(source['citation'])}",
        f"- Homepage: {_said(source['homepage'])}",
    ]
    given = {name: value for name, value in source["flags"].items() if value is not None}
    flags = [f"`--{name}={_flag(value)}`" for name, value in given.items()]
    lines.append(f"- Flags: {' '.join(flags) or 'none'}")
    if set(totals.licences) != {source["licence"]}:
        lines += ["", *_table(("licence of a piece", "pieces"), _most(totals.licences, "licences"))]
    return lines


def _composers(totals: Totals) -> list[str]:
    sums = totals.composers
    seconds = {name: sum(sums[name][split] for split in SPLITS) for name in sums}
    order = sorted(sums, key=lambda name: (-seconds[name], name))
    rows = [
        (name, sums[name]["pieces"], _hours(seconds[name]), sums[name]["notes"])
        for name in order[:MOST_ROWS]
    ]
    rest = order[MOST_ROWS:]
    if rest:
        pieces, notes = (sum(sums[name][what] for name in rest) for what in ("pieces", "notes"))
        hours = _hours(sum(seconds[name] for name in rest))
        rows.append((f"{len(rest)} others", pieces, hours, notes))
    return _table(("composer", "pieces", "hours", "notes"), rows)


def _shaping(manifest: Manifest) -> list[str]:
    fields: dict[str, Any] = dict(manifest.shaping)
    fields["meters"] = tuple(fields["meters"])  # JSON has lists alone.
    words = Shaping(**fields).in_words()
    return [f"- {line}" for line in words] or ["None: pieces are as the source has them."]


def _left_out(reasons: Mapping[str, int]) -> list[str]:
    if not reasons:
        return ["No piece."]
    lines = _table(("pieces", "reason"), [row[::-1] for row in _most(reasons, "reasons")])
    named = f"`{records.SKIPPED}.jsonl` names each."
    return [*lines, "", f"{sum(reasons.values())} pieces; {named}"]


def _reading(counted: Mapping[str, Mapping[str, int]]) -> list[str]:
    """What the readers left out of the pieces or doubt in them."""
    lines: list[str] = []
    for name, said in (("left_out", "left out of the pieces"), ("doubtful", "doubtful in them")):
        if counted[name]:
            rows = [row[::-1] for row in _most(counted[name], "kinds")]
            lines += [*([""] if lines else []), *_table(("count", said), rows)]
    named = f"`{records.PIECES}.jsonl` names those of each piece."
    return [*lines, "", named] if lines else ["All that the files hold is in the notes."]


def _codec(codec: Codec, spec: Spec) -> list[str]:
    document = sys.modules[type(codec).__module__].__doc__ or ""
    paragraphs = [" ".join(part.split()) for part in document.split("\n\n")]
    lost = [part for part in paragraphs if part.startswith("Lost")]
    lines = [
        paragraphs[0],
        *(line for part in lost for line in ("", part)),
        "",
        spec_in_words(spec),
    ]
    if spec.blocks:
        blocks = [(name, first, size) for name, first, size in spec.blocks]
        lines += ["", *_table(("block", "first", "size"), blocks[:MOST_ROWS])]
        if len(blocks) > MOST_ROWS:
            lines += ["", f"and {len(blocks) - MOST_ROWS} blocks more"]
    fields = [(name, _ranges(value)) for name, value in codec.to_json().items() if name != "name"]
    return [*lines, "", *_table(("field", "value"), fields)] if fields else lines


def _moved(moved: Mapping[str, MovedFacts]) -> list[str]:
    said = fitting.in_words(moved)
    return ["", f"Moved to the nearest value of the tables: {said}."] if said else []


def spec_in_words(spec: Spec) -> str:
    """Describes an array of a Spec in a sentence."""
    each = {
        "tokens": f"a token, 0 to {spec.size - 1}",
        "vectors": f"a vector of {spec.size} numbers",
        "cells": f"{spec.size} categories, one of each field",
        "roll": f"a plane of {' x '.join(map(str, spec.shape[1:]))} values",
        "set": f"a set of {' x '.join(map(str, spec.shape[1:]))} values",
        "audio": f"a level, 0 to {spec.size - 1}",
    }[spec.kind]
    classes = ", ".join(f"{name} ({len(names)})" for name, names in spec.classes.items())
    beside = f" Beside each array stand its {classes}." if classes else ""
    return (
        f"An array is a sequence of any length; a step of it ({spec.step}) is {each}, as "
        f"{spec.dtype}.{beside}"
    )


def _most(counted: Mapping[str, int], what: str) -> list[tuple[str, int]]:
    """The most frequent, and in one row those that are left."""
    order = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    shown, rest = order[:MOST_ROWS], order[MOST_ROWS:]
    return shown + ([(f"{len(rest)} other {what}", sum(n for _, n in rest))] if rest else [])


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(map(_cell, line))} |" for line in lines]


def _cell(value: Any) -> str:
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return " ".join(text.split()).replace("|", "\\|")


def _said(text: str) -> str:
    return " ".join(text.split()) or "unknown"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.2f}"


def _flag(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _ranges(value: Any) -> str:
    """As `_flag`, but whole numbers that follow each other as a range: 0 to 12, 15, 18."""
    if not isinstance(value, list) or not all(isinstance(number, int) for number in value):
        return _flag(value)
    starts = [n for n in value if n - 1 not in value]
    ends = [n for n in value if n + 1 not in value]
    pairs = zip(starts, ends, strict=True)
    return ", ".join(f"{low} to {high}" if low < high else str(low) for low, high in pairs)
