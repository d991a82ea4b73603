"""A slice of the campaign of benchmarks/damaged_files.py: edits of each JSON file, no traceback."""

import dataclasses
import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest

from crnn_gan.generation.interface import Interface
from crnn_gan.metrics.bands import Band, to_json
from crnn_gan.models.registry import config_class
from crnn_gan.runs import checkpoint
from crnn_gan.runs.configuration import RunConfig
from crnn_gan.runs.run import interface_of_run
from crnn_gan.runs.tables import Row, write_rows
from pipelines import prepare
from pipelines.manifest import read_manifest

pytestmark = pytest.mark.tensorflow_only
PATH = Path(__file__).parents[1] / "benchmarks" / "damaged_files.py"
SETTINGS = {"window_steps": 12, "hidden_size_g": 4, "hidden_size_d": 4, "batch_size": 4}


@pytest.fixture(scope="module", name="campaign")
def module_of_the_campaign():
    sys.path.insert(0, str(PATH.parent))
    try:
        spec = importlib.util.spec_from_file_location("damaged_files", PATH)
        module = importlib.util.module_from_spec(spec)
        sys.modules["damaged_files"] = module  # Where dataclasses look for their types.
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(PATH.parent))
    return module


@pytest.fixture(scope="module", name="folder")
def data_run_and_exported_model(campaign, tmp_path_factory):
    """What the JSON files lie in; nothing is trained, and of the model there is no graph."""
    folder = tmp_path_factory.mktemp("campaign")
    campaign.write_music(folder / "music")
    prepare.main(campaign.prepare_words(folder))
    manifest, run = read_manifest(folder / "data"), folder / "run"
    config = RunConfig(
        model="c_rnn_gan",
        config=dataclasses.asdict(config_class("c_rnn_gan")(**SETTINGS)),
        codec=manifest.codec,
        spec=manifest.spec,
        training={
            "precision": "float32",
            "seed": 1,
            "best_by": "polyphony",
            "data_dir": str(folder / "data"),
        },
        data={"configuration": manifest.configuration, **manifest.source},
        versions={"git_revision": "abc"},
    )
    (run / "generated_data").mkdir(parents=True)
    config.write(run)
    for epoch in (1, 2):
        checkpoint.save(run, config.build_model(), epoch)
    (run / "bands.json").write_text(json.dumps(to_json({"polyphony": Band(0.7, 0.5, 0.7, 0.9)})))
    rows = [Row(epoch, "", 4, 0, {"polyphony": 0.7}) for epoch in (1, 2)]
    write_rows(run / "generated_data" / "statistics.tsv", rows)
    (folder / "model").mkdir()
    signature = json.dumps(interface_of_run(run).to_json())
    (folder / "model" / "signature.json").write_text(signature)
    dataclasses.replace(config, epoch=2, chosen="the newest").write(folder / "model")
    return folder


def test_no_edit_of_a_json_file_ends_otherwise_than_in_a_sentence(campaign, folder, capsys):
    counts = campaign.edit_all(folder, 60, seed=7)
    assert {name: count.tries for name, count in counts.items()} == dict.fromkeys(counts, 60)
    assert len(counts) == 7
    assert [name for name, count in counts.items() if count.wrong] == [], capsys.readouterr().out
    for name, count in counts.items():  # Most edits are of what cannot be taken.
        assert count.refused >= 30, name
    Interface.read(folder / "model")
    shutil.rmtree(folder)


def test_the_campaign_counts_what_is_no_sentence(campaign, capsys):
    def fault(error):
        raise error

    count = campaign.Count()
    for action in (
        lambda: None,
        lambda: fault(ValueError("one sentence")),
        lambda: fault(KeyError("spec")),
        lambda: fault(RecursionError()),
        lambda: fault(ValueError("two\nlines")),
        lambda: fault(ValueError("")),
    ):
        campaign.attempt(count, "a file", action)
    assert (count.tries, count.accepted, count.refused, count.wrong) == (6, 1, 1, 4)
    assert capsys.readouterr().out.count("WRONG: a file") == 4
