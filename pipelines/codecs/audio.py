"""audio: a piece as a waveform of 8-bit mu-law samples, 256 levels.

The input of WaveNet (van den Oord et al. 2016, arXiv 1609.03499, section 2.2). The peak of each
piece is normalised to `synthesis.LOUDEST`; silence is level 128. Sound ends
`synthesis.RELEASE_SECONDS` (additive) or `synthesis.TAIL_SECONDS` (fluidsynth) after the last
note.

Lost: the notes (arrays decode to sound, see `samples`); the loudness of a piece relative to
others; frequencies above half the sample rate, and notes that have no lower ones; mu-law
quantisation error; what begins after `synthesis.LONGEST_SECONDS`. With renderer=additive also:
programs, drums, and the sostenuto and soft pedals.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from pipelines import synthesis
from pipelines.codecs import codec
from pipelines.formats import wav
from pipelines.music_files import file_sha256, printable
from pipelines.score import Score
from pipelines.settings import flag
from pipelines.spec import Spec

LEVELS = 256
STATED_SOUNDFONT = re.compile(".+, SHA-256 [0-9a-f]{64}", re.DOTALL)  # In a manifest.
CHUNK = 2**20  # Samples that are turned into levels at once.


@dataclasses.dataclass(frozen=True)
class Codec(codec.Codec):
    """Mu-law levels of uint8 [sample].

    Raises ValueError where a field is out of its bounds.
    """

    name: ClassVar[str] = "audio"
    file: ClassVar[codec.File] = codec.File("wav_bytes", ".wav", "WAV file")
    epoch_files: ClassVar[str] = "WAV files"
    own_suffixes: ClassVar[tuple[str, ...]] = (".wav",)

    sample_rate: int = flag(8000, "sample rate, samples per second", at_least=4000, at_most=16_000)
    renderer: Literal["additive", "fluidsynth"] = flag(
        "additive",
        "synthesizer: additive is a piano of sines, built in; fluidsynth needs the extra 'audio', "
        "the library of that name, and --soundfont",
    )
    soundfont: str = flag("", "path of an SF2 soundfont, for --renderer=fluidsynth")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            self.renderer == "additive" or bool(self.soundfont),
            "renderer=fluidsynth needs a soundfont; add --soundfont=FILE.sf2",
        )
        self.require(
            self.renderer == "fluidsynth" or not self.soundfont,
            "a soundfont is for renderer=fluidsynth; add that or leave it out",
        )

    @property
    def spec(self) -> Spec:
        """Audio [sample] of uint8 levels."""
        return Spec("audio", (None,), "uint8", LEVELS, f"1/{self.sample_rate} s")

    @functools.cached_property
    def _stated_soundfont(self) -> str:
        """The soundfont as a manifest states it: the name of its file, and what is in it."""
        if not self.soundfont or STATED_SOUNDFONT.fullmatch(self.soundfont):
            return self.soundfont
        path = Path(self.soundfont).expanduser()
        if not path.is_file():
            raise ValueError(f"there is no soundfont {self.soundfont!r}; give --soundfont=FILE.sf2")
        return f"{printable(path.name)}, SHA-256 {file_sha256(path)}"

    def to_json(self) -> dict[str, Any]:
        """See `Codec.to_json`. The soundfont is stated by its content, not by its path.

        A codec built from that can decode, and cannot `encode` with renderer=fluidsynth.

        Raises:
          ValueError: there is no such soundfont.
        """
        return {**super().to_json(), "soundfont": self._stated_soundfont}

    def encode(self, score: Score) -> np.ndarray:
        """Gives uint8 [sample].

        Raises:
          ValueError: with renderer=fluidsynth alone, as `synthesis.fluidsynth` says; or this
            codec was built from a manifest.
        """
        if self.renderer == "additive":
            sound = synthesis.additive_piano(score, self.sample_rate)
        else:
            if STATED_SOUNDFONT.fullmatch(self.soundfont):
                raise ValueError(
                    f"codec audio: the manifest says of the soundfont what it is "
                    f"({self.soundfont}), not where it lies; prepare with --soundfont=FILE.sf2"
                )
            soundfont = str(Path(self.soundfont).expanduser())
            sound = synthesis.fluidsynth(score, self.sample_rate, soundfont)
        return to_levels(synthesis.normalized(sound))

    def samples(self, array: np.ndarray) -> np.ndarray:
        """Decodes levels to sound: float32 [sample] in [-1, 1], at `sample_rate`."""
        return from_levels(array)

    def wav_bytes(self, array: np.ndarray) -> bytes:
        """Decodes levels to a WAV file of 16 bits per sample."""
        return wav.to_bytes(wav.pcm(self.samples(array)), self.sample_rate)

    def read(self, path: Path) -> np.ndarray:
        """See `Codec.read`: a WAV file, resampled but not normalised, as uint8 [sample]."""
        return to_levels(wav.read(path, self.sample_rate))

    @property
    def output_descriptions(self) -> dict[str, str]:
        """See `Codec.output_descriptions`."""
        return {
            "wav_bytes": f"complete WAV files, 16 bits, {self.sample_rate} Hz, one channel",
            "samples": "the sound, -1 to 1; zeros after the samples of a row",
            "sample_count": "samples of each row",
        }

    def outputs(self, arrays: Any, lengths: Any) -> dict[str, Any]:
        """See `Codec.outputs`: samples float32 [batch, sample]."""
        import tensorflow as tf

        counts = tf.sequence_mask(lengths, tf.shape(arrays)[1])
        table = tf.constant(from_levels(np.arange(LEVELS)))
        samples = tf.where(counts, tf.gather(table, tf.cast(arrays, tf.int32)), 0.0)

        def file(row: Any) -> Any:
            sound, count = row
            return tf.audio.encode_wav(sound[:count, None], self.sample_rate)

        string = tf.TensorSpec([], tf.string)
        files = tf.map_fn(file, (samples, lengths), fn_output_signature=string)
        return {"wav_bytes": files, "samples": samples, "sample_count": lengths}


def to_levels(sound: np.ndarray) -> np.ndarray:
    """Compands float32 [sample] by the mu-law, mu = 255, to uint8 [sample].

    f(x) = sign(x) ln(1 + mu |x|) / ln(1 + mu) of x clipped to [-1, 1];
    the level is (f + 1) / 2 * mu, halves up (ITU-T G.711's law, in its exact form).
    """
    levels = np.empty(len(sound), np.uint8)
    for first in range(0, len(sound), CHUNK):
        x = np.clip(sound[first : first + CHUNK].astype(np.float64), -1, 1)
        companded = np.copysign(np.log1p((LEVELS - 1) * np.abs(x)) / np.log(LEVELS), x)
        levels[first : first + CHUNK] = np.floor((companded + 1) / 2 * (LEVELS - 1) + 0.5)
    return levels


def from_levels(levels: np.ndarray) -> np.ndarray:
    """Expands uint8 mu-law levels to float32 in [-1, 1]: sign(f) ((1 + mu)^|f| - 1) / mu."""
    companded = 2 * np.arange(LEVELS) / (LEVELS - 1) - 1
    table = np.copysign((LEVELS ** np.abs(companded) - 1) / (LEVELS - 1), companded)
    return table.astype(np.float32)[levels]


def _boundaries() -> np.ndarray:
    """Gives where each level but the first begins; see `BOUNDARIES`."""
    companded = 2 * (np.arange(1, LEVELS) - 0.5) / (LEVELS - 1) - 1
    boundaries = np.copysign((LEVELS ** np.abs(companded) - 1) / (LEVELS - 1), companded)
    boundaries = boundaries.astype(np.float32)
    is_short = to_levels(boundaries) < np.arange(1, LEVELS)
    return np.where(is_short, np.nextafter(boundaries, np.float32(1)), boundaries)


# The least sample, float32 [255], that `to_levels` gives each level but the first: level k holds
# BOUNDARIES[k - 1] <= sample < BOUNDARIES[k]. But for level 128, which it also gives to what is as
# good as 0 from below.
BOUNDARIES = _boundaries()
CENTRES = from_levels(np.arange(LEVELS))  # The sample that each level expands to, float32 [256].
# Where each level begins and ends, float32 [256], in [-1, 1]; and with the outermost ones going on
# for ever, as `to_levels` clips: 1e3 stands for infinity, further than any deviation reaches.
LOWER_BOUNDS, UPPER_BOUNDS = (
    np.append(np.float32(-1), BOUNDARIES),
    np.append(BOUNDARIES, np.float32(1)),
)
OUTER_LOWER_BOUNDS = np.append(np.float32(-1e3), BOUNDARIES)
OUTER_UPPER_BOUNDS = np.append(BOUNDARIES, np.float32(1e3))
