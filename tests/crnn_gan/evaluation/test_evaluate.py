"""The command evaluate: from folders, a run and an exported model to the three findings."""

import dataclasses
import json
import shutil
import subprocess
import sys

import pytest
from random_music import pieces, write

from crnn_gan import evaluate, sample
from crnn_gan.models.registry import config_class
from crnn_gan.report.findings import write_findings
from crnn_gan.runs import checkpoint
from crnn_gan.runs.configuration import RunConfig
from crnn_gan.runs.run import export_run
from pipelines import prepare
from pipelines.codecs.note_tuples import Codec
from pipelines.formats import midi

SETTINGS = {
    "window_steps": 24, "hidden_size_g": 9, "hidden_size_d": 9, "batch_size": 4,
    "num_layers_g": 1, "num_layers_d": 1,
}  # fmt: skip


@pytest.fixture(name="real", scope="module")
def folder_of_real_music(tmp_path_factory):
    return write(tmp_path_factory.mktemp("real"), pieces(24, notes=120))


@pytest.fixture(name="run_dir", scope="module")
def run_of_one_epoch(tmp_path_factory, real):
    """A run on the real music, whose weights are those it began with."""
    folder = tmp_path_factory.mktemp("run")
    data_dir, codec = folder / "data", Codec()
    flags = ["--source=folder", f"--path={real}", "--codec=note_tuples", "--workers=1"]
    prepare.main([*flags, f"--data_dir={data_dir}"])
    config = RunConfig(
        model="c_rnn_gan",
        config=dataclasses.asdict(config_class("c_rnn_gan")(**SETTINGS)),
        codec=codec.to_json(),
        spec=codec.spec,
        training={"precision": "float32", "seed": 1, "data_dir": str(data_dir)},
        data={"name": "folder", "licence": "", "citation": "", "homepage": "", "configuration": ""},
        versions={},
    )
    run_dir = folder / "monday"
    run_dir.mkdir()
    config.write(run_dir)
    checkpoint.save(run_dir, config.build_model(), epoch=1)
    return run_dir


def findings(out_dir):
    """metrics.json, after a look at what lies beside it."""
    assert {path.name for path in out_dir.iterdir()} == {
        *("metrics.json", "piano_rolls", "report.html"),
    }
    return json.loads((out_dir / "metrics.json").read_text())


def test_a_folder_beside_a_folder_gives_a_report_figures_and_pictures(tmp_path, real, capsys):
    made = write(tmp_path / "made", pieces(5, 500, notes=60))
    out_dir = tmp_path / "new" / "findings"
    evaluate.main([f"--midi_dir={made}", f"--reference={real}", f"--out_dir={out_dir}"])
    found = findings(out_dir)
    assert [piece["name"] for piece in found["pieces"]] == [
        f"piece {n}.mid" for n in range(500, 505)
    ]
    assert found["originality"]["known"] == 24
    pictures = sorted(path.name for path in (out_dir / "piano_rolls").iterdir())
    assert pictures == [f"piece {n}.mid.png" for n in range(500, 505)]
    page = (out_dir / "report.html").read_text()
    assert all(f"piece {n}.mid" in page for n in range(500, 505))
    printed = capsys.readouterr().out
    assert "scale consistency" in printed
    assert f"report: {out_dir / 'report.html'}" in printed
    assert found["generated"]["made"] == "the files of made"


def test_only_as_many_pieces_are_shown_as_asked_but_all_are_measured(tmp_path, real):
    made = write(tmp_path / "made", pieces(5, 500))
    out_dir = tmp_path / "findings"
    words = [f"--midi_dir={made}", f"--reference={real}", f"--out_dir={out_dir}"]
    evaluate.main([*words, "--shown=2", "--nooriginality"])
    found = findings(out_dir)
    assert len(found["pieces"]) == 5 and found["originality"] is None
    assert len(list((out_dir / "piano_rolls").iterdir())) == 2


@pytest.mark.tensorflow_only
def test_a_run_is_evaluated_beside_the_data_it_was_trained_on(tmp_path, run_dir):
    evaluate.main([f"--run_dir={run_dir}", f"--out_dir={tmp_path / 'out'}", "--count=3"])
    found = findings(tmp_path / "out")
    assert [piece["name"] for piece in found["pieces"]] == ["monday-0", "monday-1", "monday-2"]
    assert found["reference"]["name"] == "data"
    assert "24 steps, on the grid of the model's codec" in found["reference"]["made"]
    assert "c_rnn_gan after epoch 1 (the newest), seeds 0 to 2" in found["generated"]["made"]
    assert found["title"] == "c_rnn_gan monday"
    assert set(found["cards"]) == {"model", "data"}
    assert found["training"] is None  # No epoch of this run left a row.


@pytest.mark.tensorflow_only
def test_an_excerpt_is_measured_beside_real_windows_of_as_many_steps(tmp_path, run_dir):
    words = [f"--run_dir={run_dir}", f"--out_dir={tmp_path / 'out'}", "--count=3", "--length=40"]
    evaluate.main([*words, "--excerpt=33:40", "--nooriginality"])
    found = findings(tmp_path / "out")
    assert [piece["notes"] for piece in found["pieces"]] == [8] * 3  # A step is a note.
    assert "40 steps each, " in found["generated"]["made"]
    assert found["generated"]["made"].endswith(", of which steps 33 to 40 are measured")
    assert found["reference"]["made"].startswith("windows of 8 steps, ")
    assert found["reference"]["notes"] == 400 * 8


@pytest.mark.tensorflow_only
def test_held_out_pieces_can_be_what_is_compared_with(tmp_path, run_dir):
    words = [f"--run_dir={run_dir}", f"--out_dir={tmp_path / 'out'}", "--count=3"]
    evaluate.main([*words, "--against=held_out", "--nooriginality"])
    found = findings(tmp_path / "out")
    assert found["against"] == "held_out"
    assert "from half of the held-out pieces of data (" in found["reference"]["made"]
    recall = next(f["name"] for f in found["figures"] if f["name"].startswith("recall"))
    assert recall.endswith(", compared with held-out pieces)")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "windows of held-out music from data" in page


@pytest.mark.tensorflow_only
def test_an_excerpt_of_an_exported_model_is_refused_since_notes_have_no_steps(
    tmp_path, run_dir, real
):
    exported = export_run(run_dir, tmp_path / "monday")
    words = [f"--saved_model={exported}", f"--reference={real}", f"--out_dir={tmp_path / 'out'}"]
    with pytest.raises(ValueError, match=r"--excerpt is of a run: .*give the run .*--run_dir"):
        evaluate.main([*words, "--excerpt=1:8"])
    with pytest.raises(ValueError, match="the pieces have 24 steps; give --length=40 or more"):
        evaluate.main([f"--run_dir={run_dir}", words[2], "--excerpt=33:40"])
    assert not (tmp_path / "out").exists()


@pytest.mark.tensorflow_only
def test_the_pieces_of_an_exported_model_are_those_that_sample_writes(tmp_path, run_dir, real):
    exported = export_run(run_dir, tmp_path / "monday")
    model = [f"--saved_model={exported}", "--count=3", "--seed=5", "--length=30"]
    sample.main([*model, "--temperature=1.5", f"--out_dir={tmp_path / 'samples'}"])
    words = [*model, "--temperature=1.5", f"--reference={real}"]
    evaluate.main([*words, f"--out_dir={tmp_path / 'out'}"])
    found = findings(tmp_path / "out")
    for piece in found["pieces"]:
        written = midi.read_score(tmp_path / "samples" / f"{piece['name']}.mid")
        assert piece["notes"] == len(written.notes)
        assert piece["seconds"] == pytest.approx(written.length_seconds)
    assert "temperature 1.5" in found["generated"]["made"]
    assert found["cards"]["model"].startswith("# ")
    assert found["training"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give one of --run_dir, --saved_model and --midi_dir"),
        (["--midi_dir=x", "--run_dir=y"], "give one of"),
        (["--midi_dir=x"], "give --reference"),
        (["--midi_dir=x", "--reference=y", "--shown=-1"], "shown is -1; give 0 or more"),
        (["--midi_dir=x", "--reference=y", "--seed=-1"], "seed is -1; give 0 or more"),
        (["--midi_dir=x", "--reference=y", "--count=3"], "no flag --count"),
        (["--midi_dir=x", "--reference=y", "--excerpt=1:8"], "no flag --excerpt"),
        (["--midi_dir=x", "--reference=y", "--against=me"], "against"),
        (["--midi_dir=x", "--reference=y", "--against=held_out"], "y is a folder of files: only"),
        (["--midi_dir=gone", "--reference=gone"], "gone"),
    ],
)
def test_wrong_commands_are_refused_in_words(words, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        evaluate.main([*words, f"--out_dir={tmp_path / 'out'}"])
    assert not (tmp_path / "out").exists()


@pytest.mark.tensorflow_only
def test_a_run_whose_data_is_gone_asks_for_a_reference(tmp_path, run_dir):
    moved = tmp_path / "moved"
    shutil.copytree(run_dir, moved)
    config = json.loads((moved / "config.json").read_text())
    config["training"]["data_dir"] = "data/elsewhere"
    (moved / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        ValueError, match=r'trained on "data/elsewhere", which is not found.*--reference'
    ):
        evaluate.main([f"--run_dir={moved}", f"--out_dir={tmp_path / 'out'}"])


def test_a_folder_without_music_is_refused_in_words(tmp_path, real):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no music file"):
        evaluate.main(
            [f"--midi_dir={tmp_path / 'empty'}", f"--reference={real}", f"--out_dir={tmp_path}"]
        )


def test_files_that_cannot_be_read_are_named_where_nothing_else_is_there(tmp_path, real):
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "a.mid").write_bytes(b"hello")
    words = [f"--midi_dir={tmp_path / 'damaged'}", f"--reference={real}"]
    with pytest.raises(ValueError, match=r"1 skipped, the first is a\.mid: does not begin"):
        evaluate.main([*words, f"--out_dir={tmp_path / 'out'}"])


def test_odd_file_names_have_a_picture_each_and_do_nothing_on_a_screen(tmp_path, real, capsys):
    made = tmp_path / "made"
    names = ["a/b", "a_b", "A_B", "x$\\frac$", "new\nline", "red\x1b[31m", "\N{MUSICAL KEYBOARD}"]
    names += ["n" * 250, "<script>alert(1)<", "</script"]
    for name, (_, score) in zip(names, pieces(len(names), 500), strict=True):
        path = made / f"{name}.mid"
        path.parent.mkdir(parents=True, exist_ok=True)
        midi.write(score, made / "written.mid")
        (made / "written.mid").rename(path)
    out_dir = tmp_path / "out"
    evaluate.main([f"--midi_dir={made}/../made", f"--reference={real}", f"--out_dir={out_dir}"])
    assert len(findings(out_dir)["pieces"]) == len(names)
    pictures = {path.name.casefold() for path in (out_dir / "piano_rolls").iterdir()}
    assert len(pictures) == len(names)
    assert {"a_b.mid.png", "a_b.mid-2.png", "a_b.mid-3.png", r"new\nline.mid.png"} <= pictures
    page = (out_dir / "report.html").read_text()
    assert "<script>alert" not in page and "\x1b" not in page
    printed = capsys.readouterr().out
    assert printed.startswith("10 pieces of made (")
    assert "\x1b" not in printed


def test_no_report_of_another_time_stays_where_writing_fails(tmp_path, real):
    made = write(tmp_path / "made", pieces(2, 500))
    out_dir = tmp_path / "out"
    words = [f"--midi_dir={made}", f"--reference={real}", f"--out_dir={out_dir}"]
    evaluation, scores = evaluate.evaluated(words)
    unfinished = dataclasses.replace(evaluation, repeated=float("nan"))
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_findings(unfinished, scores, out_dir)
    assert not (out_dir / "report.html").exists()
    assert json.loads((out_dir / "metrics.json").read_text())["repeated"] == 0


@pytest.mark.parametrize("taken", ["out", "out/piano_rolls"])
def test_a_file_where_the_findings_go_is_refused_before_the_work(tmp_path, real, taken):
    (tmp_path / taken).parent.mkdir(exist_ok=True)
    (tmp_path / taken).write_text("mine")
    words = [f"--midi_dir={real}", f"--reference={real}", f"--out_dir={tmp_path / 'out'}"]
    with pytest.raises(ValueError, match="is a file; --out_dir takes a directory"):
        evaluate.main(words)
    assert (tmp_path / taken).read_text() == "mine"


def test_a_folder_of_files_needs_neither_tensorflow_nor_keras(tmp_path, real):
    made = write(tmp_path / "made", pieces(2, 500))
    program = (
        "import sys; from crnn_gan import evaluate; evaluate.main(sys.argv[1:]); "
        "print({'tensorflow', 'keras', 'jax'} & set(sys.modules) or 'none')"
    )
    words = [f"--midi_dir={made}", f"--reference={real}", f"--out_dir={tmp_path / 'out'}"]
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "none"


def test_help_names_the_flags_of_sampling(capsys):
    with pytest.raises(SystemExit):
        evaluate.main(["--help"])
    printed = capsys.readouterr().out
    assert "--reference" in printed and "--count" in printed
