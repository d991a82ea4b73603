"""Models of ABC and of sound from end to end: what is written, what an export gives, refusals."""

import dataclasses
import io
import json
import wave

import mido
import numpy as np
import pytest
import tensorflow as tf

from crnn_gan import evaluate, sample, train
from crnn_gan.generation import pieces, saved_model
from crnn_gan.generation.interface import LONGEST_SOUND, Interface
from crnn_gan.generation.primer import read_primer
from crnn_gan.metrics.bands import bands
from crnn_gan.runs.best import read_bands
from crnn_gan.runs.run import export_run
from crnn_gan.runs.tables import read_losses, read_rows
from pipelines import dataset, prepare
from pipelines.codecs import abc_text, audio
from pipelines.codecs.note_codec import MIDI_FILE
from pipelines.formats import midi, wav
from pipelines.score import Score
from pipelines.score_arrays import NOTE
from pipelines.settings import UsageError
from pipelines.sources import folder

TRAINING = (
    "--precision=float32", "--nodeterministic", "--samples_per_epoch=2", "--max_epoch=2",
    "--batch_size=4",
)  # fmt: skip
CHAR_RNN = ("--model=char_rnn", "--hidden_size=8", "--num_layers=1", "--embedding_size=8")
WAVENET = (
    "--model=wavenet", "--blocks=1", "--layers_per_block=2", "--residual_channels=8",
    "--dilation_channels=8", "--skip_channels=8", "--end_channels=8",
)  # fmt: skip
RATE = 4000


def tune(number: int) -> str:
    """Two bars of six eighths in G, which begin on another note each time."""
    notes = "GABcdefgab"[number % 10 :] + "GABcdefgab"[: number % 10]
    return f"X:1\nT:Tune {number}\nM:6/8\nL:1/8\nK:G\n|:{notes[:6]}|{notes[2:8]}:|\n"


def scale(number: int) -> Score:
    """Eight notes of an eighth of a quarter each: a twentieth of a second at 150 a minute."""
    rows = np.zeros(8, NOTE)
    rows["onset"], rows["duration"] = 60 * np.arange(8), 60
    rows["pitch"], rows["velocity"] = 60 + number + np.arange(8), 80
    return Score(480, rows)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with tunes, scales and what was prepared of them."""
    place = tmp_path_factory.mktemp("text and sound")
    for kind in ("tunes", "scales"):
        (place / kind).mkdir()
    for number in range(10):
        (place / "tunes" / f"{number:02d}.abc").write_text(tune(number))
        midi.write(scale(number), place / "scales" / f"{number:02d}.mid")
    for kind, codec in (("tunes", abc_text.Codec()), ("scales", audio.Codec(sample_rate=RATE))):
        flags = prepare.Flags(
            data_dir=str(place / f"{kind}.data"), train_fraction=0.8, validation_fraction=0.2,
            workers=1, card=False,
        )  # fmt: skip
        prepare.prepare(flags, folder.Source(path=str(place / kind)), codec)
    return place


def trained(place, kind, name, *flags):
    train.main([*flags, *TRAINING, f"--data_dir={place / kind}.data", f"--run_dir={place / name}"])
    return place / name


@pytest.fixture(scope="module", name="abc_run")
def run_of_text(place):
    return trained(place, "tunes", "abc", *CHAR_RNN, "--window_steps=40")


@pytest.fixture(scope="module", name="sound_run")
def run_of_sound(place):
    return trained(place, "scales", "sound", *WAVENET, "--window_steps=500")


@pytest.fixture(scope="module", name="abc_model")
def exported_text(abc_run, place):
    return export_run(abc_run, place / "exported" / "abc")


@pytest.fixture(scope="module", name="sound_model")
def exported_sound(sound_run, place):
    return export_run(sound_run, place / "exported" / "sound")


def contents(folder_of_files):
    return {path.name: path.read_bytes() for path in folder_of_files.iterdir()}


# Training.


def test_a_run_of_text_leaves_tune_midi_piano_roll_and_statistics_each_epoch(abc_run):
    files = contents(abc_run / "generated_data")
    assert set(files) == {
        *(f"epoch-000{n}.{suffix}" for n in (1, 2) for suffix in ("abc", "mid", "png")),
        "losses.tsv", "statistics.tsv",
    }  # fmt: skip
    text = files["epoch-0002.abc"].decode()
    assert text.startswith("X:1\nT:\n")
    again = abc_text.Codec().decode(abc_text.tokens(text.removeprefix("X:1\nT:\n")))
    written = midi.read_score(files["epoch-0002.mid"])
    assert len(written.notes) == len(again.score.notes)
    first, second = read_rows(abc_run / "generated_data" / "statistics.tsv")
    assert (first.epoch, second.pieces) == (1, 2)
    assert second.statistics.keys() == read_bands(abc_run).keys() != set()


def test_the_bands_of_text_are_those_of_the_beginnings_of_tunes(abc_run, place):
    # A window from within a tune would be read in C, where the f of a tune in G is no f sharp.
    arrays = dataset.load(place / "tunes.data", "train").arrays
    expected = bands([abc_text.Codec().decode(array[:40]).score for array in arrays])
    for name, band in read_bands(abc_run).items():
        found = dataclasses.astuple(band)
        assert found == pytest.approx(dataclasses.astuple(expected[name])), name


def test_a_run_of_sound_leaves_a_wav_file_each_epoch_and_no_statistics_of_notes(sound_run):
    files = contents(sound_run / "generated_data")
    assert set(files) == {"epoch-0001.wav", "epoch-0002.wav", "losses.tsv", "statistics.tsv"}
    with wave.open(io.BytesIO(files["epoch-0002.wav"])) as file:
        assert file.getparams()[:4] == (1, 2, RATE, 500)
    rows = read_rows(sound_run / "generated_data" / "statistics.tsv")
    assert [(row.pieces, row.repeated, row.statistics) for row in rows] == [(2, 0, {})] * 2
    assert read_bands(sound_run) == {}
    losses = read_losses(sound_run / "generated_data" / "losses.tsv")
    assert all(0 < row.losses["held_out_nats"] < 2 * np.log(256) for row in losses)
    assert {path.name for path in (sound_run / "logs").iterdir()} == {"generated"}


def test_sounds_that_are_equal_are_counted_as_repeated(tmp_path):
    from crnn_gan.runs.callbacks import EpochSound
    from crnn_gan.runs.collapse_alarm import CollapseAlarm

    levels = np.arange(0, 200, dtype=np.int32)
    codec = audio.Codec(sample_rate=RATE)
    callbacks = [
        EpochSound(tmp_path, lambda epoch: [levels, levels[::-1], levels], codec),
        CollapseAlarm(tmp_path, {}, epochs=1),
    ]
    for callback in callbacks:
        callback.on_epoch_end(0, {"loss": 1.0})
    callbacks[0].on_train_end()
    (row,) = read_rows(tmp_path / "generated_data" / "statistics.tsv")
    assert (row.pieces, row.repeated) == (3, 1)
    assert "1 of 3 pieces repeat another" in (tmp_path / "alarms.txt").read_text()
    content = (tmp_path / "generated_data" / "epoch-0001.wav").read_bytes()
    np.testing.assert_array_equal(wav.parse(content)[0], wav.pcm(codec.samples(levels)) / 2**15)


def test_the_best_epoch_of_sound_cannot_be_chosen_by_notes(place):
    with pytest.raises(UsageError, match=r"no statistics of notes.*--best_by=held_out_nats"):
        trained(place, "scales", "other", *WAVENET, "--window_steps=500", "--best_by=polyphony")
    assert not (place / "other").exists()


# Sampling and exporting.


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("kind", ["abc", "sound"])
def test_a_run_and_its_exported_model_write_the_same_files(
    kind, abc_run, abc_model, sound_run, sound_model, tmp_path, capsys
):
    run_dir, model = {"abc": (abc_run, abc_model), "sound": (sound_run, sound_model)}[kind]
    settings = ["--count=3", "--seed=40", "--length=200"]
    sample.main([f"--run_dir={run_dir}", f"--out_dir={tmp_path / 'run'}", *settings])
    lines = capsys.readouterr().out.splitlines()
    sample.main([f"--saved_model={model}", f"--out_dir={tmp_path / 'model'}", *settings])
    files = contents(tmp_path / "run")
    assert files == contents(tmp_path / "model")
    suffix = {"abc": "abc", "sound": "wav"}[kind]
    assert {f"{kind}-{seed}.{suffix}" for seed in (40, 41, 42)} <= set(files)
    assert [line.split(": ")[0] for line in lines] == [
        str(tmp_path / "run" / f"{kind}-{seed}.{suffix}") for seed in (40, 41, 42)
    ]
    for name, content in files.items():
        if name.endswith(".mid"):
            assert mido.MidiFile(file=io.BytesIO(content)).tracks
        elif name.endswith(".wav"):
            with wave.open(io.BytesIO(content)) as file:
                assert file.getparams()[:4] == (1, 2, RATE, 200)
    if kind == "sound":
        assert all(line.endswith(": 0.1 s") for line in lines)  # 200 of 4,000 samples.


@pytest.mark.tensorflow_only
def test_an_exported_model_of_text_gives_text_and_its_tokens(abc_model):
    sampler, codec = saved_model.load(abc_model), abc_text.Codec()
    made = {n: v.numpy() for n, v in sampler.generate(seed=3, count=5, length=300).items()}
    assert set(made) == set(sampler.interface.outputs) == {"text", "tokens", "token_count"}
    assert made["tokens"].shape == (5, made["token_count"].max())
    for text, tokens, count in zip(*(made[n] for n in sampler.interface.outputs), strict=True):
        assert text.decode() == codec.text(tokens[:count])
        assert (tokens[: count - 1] != abc_text.END).all() and not tokens[count:].any()
        assert count == 300 or tokens[count - 1] == abc_text.END
    assert any(made["token_count"] < 300)


@pytest.mark.tensorflow_only
def test_a_primer_counts_where_a_request_takes_too_much_memory(abc_model):
    sampler, primer = saved_model.load(abc_model), np.full(70_000, 20, np.int32)
    steps = sampler.interface.memory.most_steps  # Of one piece.
    count = steps // 60_000
    sampler.interface.memory.refuse(count, 60_000)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{count} x 70001 steps .* at most"):
        sampler.continue_primer(primer, seed=1, count=count, length=1)


@pytest.mark.tensorflow_only
def test_an_exported_model_of_sound_gives_samples_and_a_wav_file(sound_model):
    sampler = saved_model.load(sound_model)
    made = sampler.module.serving_default(
        seed=np.array([1, 2], np.int64), length=np.array([100, 30], np.int32),
        temperature=np.ones(2, np.float32), top_k=np.zeros(2, np.int32),
        top_p=np.ones(2, np.float32),
    )  # fmt: skip
    made = {name: value.numpy() for name, value in made.items()}
    assert set(made) == set(sampler.interface.outputs) == {"wav_bytes", "samples", "sample_count"}
    assert made["samples"].shape == (2, 100) and not made["samples"][1, 30:].any()
    assert made["sample_count"].tolist() == [100, 30]
    for content, sound, count in zip(*(made[n] for n in sampler.interface.outputs), strict=True):
        assert content == wav.to_bytes(wav.pcm(sound[:count]), RATE)
        # Within half a step of 16 bits; of the loudest level, which they do not reach, a whole.
        np.testing.assert_allclose(wav.parse(content)[0], sound[:count], rtol=0, atol=2**-15)


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("kind", ["abc", "sound"])
def test_signature_json_and_card_say_what_file_it_is(kind, abc_model, sound_model):
    model = {"abc": abc_model, "sound": sound_model}[kind]
    described = json.loads((model / "signature.json").read_text())
    output, suffix = {"abc": ("text", ".abc"), "sound": ("wav_bytes", ".wav")}[kind]
    assert (described["file"]["output"], described["file"]["suffix"]) == (output, suffix)
    for signature in ("generate", "serving_default", "continue_primer"):
        assert described["signatures"][signature]["outputs"].keys() == described["outputs"].keys()
    card = (model / "card.md").read_text()
    assert f'["{output}"]' in card and f'"piece{suffix}"' in card and f"| `{output}` |" in card
    assert "MIDI" not in card.split("## Data")[0] and "- held_out_nats: " in card
    interface = Interface.read(model)
    assert interface.arguments["length"].high == (LONGEST_SOUND if kind == "sound" else 100_000)
    with pytest.raises(ValueError, match="has no ticks"):
        interface.seconds(1)


@pytest.mark.tensorflow_only
def test_a_signature_json_without_outputs_is_of_a_model_that_gives_midi(abc_model, tmp_path):
    described = json.loads((abc_model / "signature.json").read_text())
    old = {n: v for n, v in described.items() if n not in ("outputs", "file", "continues")}
    old |= {"ticks_per_quarter": 480, "microseconds_per_quarter": 500_000}
    names = ("midi_bytes", "notes", "note_count", "controls", "control_count")
    [tensor, *_] = old["signatures"]["generate"]["outputs"].values()
    old["signatures"]["generate"]["outputs"] = dict.fromkeys(names, tensor)
    (tmp_path / "signature.json").write_text(json.dumps(old))
    interface = Interface.read(tmp_path)
    assert (interface.file, set(interface.outputs)) == (MIDI_FILE, set(names))
    assert not interface.continues
    del old["signatures"]
    (tmp_path / "signature.json").write_text(json.dumps(old))
    assert set(Interface.read(tmp_path).outputs) == set(names[:3])
    (tmp_path / "signature.json").write_text(json.dumps({**described, "outputs": {"notes": ""}}))
    with pytest.raises(ValueError, match=r'file\.output is "text"; expected one of the outputs'):
        Interface.read(tmp_path)


def test_a_text_of_which_nothing_can_be_read_is_written_without_a_midi_file(tmp_path):
    interface = Interface.of({}, abc_text.Codec(), 10)
    made = {"text": b"X:1\nT:\nK:C\n)]", "tokens": np.zeros(0), "token_count": 0}
    piece = pieces._of_text(7, made, interface, None)
    assert list(piece.files) == [".abc"]
    assert str(piece).startswith("0 notes, 0.0 s; its text has ")
    assert str(piece).endswith("and no note can be read of it")
    assert not len(piece.read().notes)


@pytest.mark.tensorflow_only
def test_scores_of_text_are_rendered_and_sound_is_refused(abc_model, sound_model, tmp_path):
    out = f"--out_dir={tmp_path / 'out'}"
    sample.main([f"--saved_model={abc_model}", out, "--count=1", "--length=200", "--render=png"])
    assert (tmp_path / "out" / "abc-0.png").is_file()
    with pytest.raises(UsageError, match=r"--render=png makes files of notes.*\.wav"):
        sample.main([f"--saved_model={sound_model}", f"--out_dir={tmp_path}", "--render=png"])


# Primers.


def test_a_primer_of_text_is_without_its_end_and_of_sound_as_loud_as_its_file(place, tmp_path):
    codec = abc_text.Codec()
    primer = read_primer(place / "tunes" / "00.abc", codec)
    whole = codec.encode(Score(480, np.zeros(0, NOTE), abc=tune(0)))
    np.testing.assert_array_equal(primer.array, whole[:-1])
    assert (whole[-1], primer.quarters) == (abc_text.END, 12)  # Twice two bars of three quarters.
    (tmp_path / "beginning.txt").write_text("M:3/4\r\nK:D\r\nA2|")
    primer = read_primer(tmp_path / "beginning.txt", codec)
    assert codec.text(primer.array) == "X:1\nT:\nM:3/4\nK:D\nA2|"
    assert primer.quarters == 1  # Below a meter of 3/4 the unit is an eighth.
    sound = audio.Codec(sample_rate=RATE)
    levels = np.arange(256, dtype=np.uint8)
    (tmp_path / "all.wav").write_bytes(sound.wav_bytes(levels))
    np.testing.assert_array_equal(read_primer(tmp_path / "all.wav", sound).array, levels)
    path = place / "scales" / "00.mid"
    expected = sound.encode(midi.read_score(path))
    np.testing.assert_array_equal(read_primer(path, sound).array, expected)
    assert len(read_primer(path, sound, 10).array) == 10


def test_a_wav_file_of_another_rate_and_two_channels_becomes_what_the_model_hears(tmp_path):
    seconds = np.arange(16000) / 16000
    tone = 0.5 * np.sin(2 * np.pi * 440 * seconds)
    with wave.open(str(tmp_path / "stereo.wav"), "wb") as file:
        file.setparams((2, 3, 16000, 0, "NONE", ""))
        wide = np.rint(np.stack([tone, 0 * tone], axis=1) * 2**23).astype("<i4")
        file.writeframes(wide.view(np.uint8).reshape(-1, 4)[:, :3].tobytes())
    heard = wav.read(tmp_path / "stereo.wav", 4000)
    assert heard.shape == (4000,)  # A second, both channels' mean: half as loud.
    np.testing.assert_allclose(heard[100:-100], 0.5 * tone[::4][100:-100], atol=2e-3)


@pytest.mark.parametrize(
    ("name", "content", "codec", "words"),
    [
        ("a.txt", b"K:C", audio.Codec(), r"no kind that fits.*audio goes on.*\.wav, \.mid"),
        ("a.wav", b"RIFF", abc_text.Codec(), r"no kind that fits.*abc_text.*\.txt, \.mid"),
        ("a.wav", b"RIFF", audio.Codec(), r"a\.wav is no WAV file of PCM samples"),
        ("a.wav", wav.to_bytes(np.zeros(0), 8000), audio.Codec(), "has no samples"),
        ("a.wav", wav.to_bytes(np.zeros(10**6 + 1), 8000), audio.Codec(), "more than 1000000"),
        ("a.abc", b"X:1\nK:C\n", abc_text.Codec(), "has no notes"),
    ],
)
def test_a_primer_that_does_not_fit_is_refused_in_words(name, content, codec, words, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read_primer(tmp_path / name, codec)


def test_music_that_is_no_tune_is_no_primer_of_text(tmp_path):
    rows = np.zeros(2, NOTE)  # Overlapping notes of other ends are neither a line nor chords.
    rows["onset"], rows["duration"], rows["pitch"], rows["velocity"] = [0, 7], [480, 999], 60, 64
    rows["pitch"][1] = 64
    midi.write(Score(480, rows), tmp_path / "a.mid")
    with pytest.raises(ValueError, match="abc_text finds nothing to encode"):
        read_primer(tmp_path / "a.mid", abc_text.Codec())


def test_sound_by_a_synthesizer_cannot_be_made_of_a_run_and_a_wav_file_is_asked_for(place):
    soundfont = f"piano.sf2, SHA-256 {'0' * 64}"
    codec = audio.Codec(renderer="fluidsynth", soundfont=soundfont)
    with pytest.raises(ValueError, match=r"the manifest says.*; or give one of \.wav"):
        read_primer(place / "scales" / "00.mid", codec)


@pytest.mark.tensorflow_only
def test_pieces_go_on_from_a_primer(place, abc_model, sound_model, tmp_path):
    settings = ["--count=2", "--length=50", f"--out_dir={tmp_path}"]
    primer = place / "tunes" / "03.abc"
    sample.main([f"--saved_model={abc_model}", f"--primer={primer}", *settings])
    begun = abc_text.Codec().text(read_primer(primer, abc_text.Codec()).array)
    for seed in (0, 1):
        text = (tmp_path / f"abc-{seed}.abc").read_text()
        assert text.startswith(begun)
        whole = midi.read_score(tmp_path / f"abc-{seed}.mid")
        later = midi.read_score(tmp_path / f"abc-{seed}-continuation.mid")
        assert len(later.notes) <= len(whole.notes)
    primer = place / "scales" / "03.mid"
    settings += ["--primer_steps=300"]
    sample.main([f"--saved_model={sound_model}", f"--primer={primer}", *settings])
    levels = audio.Codec(sample_rate=RATE).encode(midi.read_score(primer))[:300]
    for seed in (0, 1):
        sound, _ = wav.parse((tmp_path / f"sound-{seed}.wav").read_bytes())
        later, _ = wav.parse((tmp_path / f"sound-{seed}-continuation.wav").read_bytes())
        np.testing.assert_allclose(sound[:300], audio.from_levels(levels), atol=2**-16)
        np.testing.assert_array_equal(sound[300:], later)
        assert len(later) == 50


# Evaluation and originality.


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("source", ["run_dir", "saved_model"])
def test_a_model_of_text_is_evaluated_and_faults_of_its_text_are_said(
    source, place, abc_run, abc_model, tmp_path
):
    folder_of_model = abc_run if source == "run_dir" else abc_model
    evaluation, scores = evaluate.evaluated(
        [
            f"--{source}={folder_of_model}", f"--reference={place / 'tunes.data'}", "--count=4",
            "--length=40", f"--out_dir={tmp_path}",
        ]
    )  # fmt: skip
    assert len(scores) == len(evaluation.pieces) == 4
    assert (tmp_path / "report.html").is_file()
    texts = [score.abc for score in scores]
    faulty = sum(abc_text.Codec().decode(abc_text.tokens(text[7:])).dropped > 0 for text in texts)
    assert faulty and f"The text of {faulty} of 4 pieces" in evaluation.notes[0]
    assert "their beginnings)" in evaluation.reference.made
    assert evaluation.reference.pieces == 8  # Each tune of training once.


@pytest.mark.tensorflow_only
def test_a_reference_that_is_no_tune_is_left_out_and_said(place, abc_model, tmp_path):
    music = tmp_path / "music"
    music.mkdir()
    (music / "tune.abc").write_text(tune(1))
    rows = scale(0).notes.copy()
    rows["duration"] = 100  # Each ends within the next: no line.
    midi.write(Score(480, rows), music / "no tune.mid")
    evaluation, _ = evaluate.evaluated(
        [f"--saved_model={abc_model}", f"--reference={music}", "--count=2", "--length=40",
         f"--out_dir={tmp_path / 'out'}"]
    )  # fmt: skip
    assert len(evaluation.reference.left_out) == 1
    assert "no tune.mid: codec abc_text finds nothing" in evaluation.reference.left_out[0]


@pytest.mark.tensorflow_only
def test_a_model_of_sound_is_not_evaluated_and_what_to_use_instead_is_said(
    place, sound_run, sound_model, tmp_path
):
    for flag in (f"--run_dir={sound_run}", f"--saved_model={sound_model}"):
        with pytest.raises(UsageError, match=r"\.wav files.*held_out_nats.*losses\.tsv"):
            evaluate.main([flag, f"--reference={place / 'scales'}", f"--out_dir={tmp_path / 'x'}"])
    command = [f"--saved_model={sound_model}", f"--out_dir={tmp_path / 'x'}"]
    with pytest.raises(ValueError, match="from which no notes come back"):
        sample.main([*command, "--originality=warn", f"--reference={place / 'scales'}"])
    assert not (tmp_path / "x").exists()


@pytest.mark.tensorflow_only
def test_copies_of_tunes_are_looked_for_in_the_notes_of_a_text(place, abc_model, tmp_path, capsys):
    command = [f"--saved_model={abc_model}", "--length=400", "--seed=2", "--count=2"]
    reference = [f"--reference={place / 'tunes.data'}", "--originality=warn"]
    sample.main([*command, f"--out_dir={tmp_path}", *reference])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        str(tmp_path / f"abc-{n}.abc") for n in (2, 3)
    ]
    assert all("original: " in line or "too short: " in line for line in lines)


def test_what_a_piece_is_said_to_be(tmp_path):
    piece = pieces.Sampled(1, {".wav": b""}, None, 1.25, remark="fine")
    assert str(piece) == "1.2 s; fine"
    assert str(dataclasses.replace(piece, notes=3, faults=1)) == (
        "3 notes, 1.2 s; its text has a fault; fine"
    )
