"""The pedal of exported models: in their MIDI files, and as an output of its own."""

import dataclasses
import io

import mido
import numpy as np
import pytest
from keras import ops

from crnn_gan.generation import saved_model
from crnn_gan.music_model import MusicModel, Noise
from pipelines.codecs import events, time_chunks

pytestmark = pytest.mark.tensorflow_only


@dataclasses.dataclass(frozen=True)
class NoConfig:
    """Nothing to set."""


class Dice(MusicModel):
    """Any array of the codec is as likely as any other."""

    Config = NoConfig
    accepts = ("tokens", "set")

    def noise_spec(self, count, length):
        shape = tuple(size or 1 for size in self.spec.shape[1:])
        return {"throw": Noise((count, length, *shape), "uniform", per_step=True)}

    def generate(self, noise):
        if self.spec.kind == "set":
            return noise["throw"] * 2 - 1
        return ops.cast(noise["throw"] * self.spec.size, self.spec.dtype)


def sampler(codec):
    return saved_model.build(Dice(NoConfig(), codec.spec), codec, default_length=400)


def controls_of(content):
    tick, found = 0, []
    for message in mido.MidiFile(file=io.BytesIO(content)).tracks[0]:
        tick += message.time
        if message.type == "control_change":
            found.append([tick, message.control, message.value])
    return found


@pytest.mark.parametrize(
    "codec",
    [
        events.Codec(pedal_levels=2),
        events.Codec(pedal_levels=32),
        time_chunks.Codec(events_per_chunk=4),
    ],
    ids=["up and down", "half pedal", "sets"],
)
def test_the_file_holds_the_pedal_that_controls_says(codec):
    made = sampler(codec).generate(seed=3, count=3, length=2000)
    for row, content in enumerate(made["midi_bytes"].numpy()):
        count = int(made["control_count"][row])
        controls = made["controls"].numpy()[row]
        assert count > 0
        assert controls_of(content) == controls[:count].tolist()
        assert not controls[count:].any()
        assert set(controls[:count, 1]) <= {64, 66, 67}
    most = int(made["control_count"].numpy().max())
    assert made["controls"].shape == (3, most, 3)


def test_a_codec_without_pedal_gives_no_controls():
    made = sampler(events.Codec()).generate(seed=3)
    assert set(made) == {"midi_bytes", "notes", "note_count"}
    assert controls_of(made["midi_bytes"].numpy()[0]) == []


def test_the_pedal_of_a_piece_is_the_same_in_any_batch_and_after_saving(tmp_path):
    made = sampler(events.Codec(pedal_levels=2))
    saved_model.save(made, tmp_path / "dice", {}, "# dice\n")
    loaded = saved_model.load(tmp_path / "dice")
    one, three = loaded.generate(seed=9), made.generate(seed=7, count=3)
    assert one["midi_bytes"].numpy()[0] == three["midi_bytes"].numpy()[2]
    count = int(one["control_count"][0])
    assert count == int(three["control_count"][2])
    np.testing.assert_array_equal(one["controls"][0], three["controls"][2, :count])
