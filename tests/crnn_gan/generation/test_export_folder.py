"""Folders of exported models, when exports are killed or meet."""

import threading

from crnn_gan.generation import export_folder
from pipelines.leftovers import HOST


def model(folder, name):
    """A folder that passes for an exported model."""
    folder.mkdir()
    for file in ("saved_model.pb", "card.md"):
        (folder / file).write_text(name)
    return folder


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_models_that_are_put_in_one_place_at_once_are_each_whole(tmp_path):
    folder, faults = tmp_path / "tiny", []

    def export(name):
        try:
            for number in range(40):
                staging = model(tmp_path / f"{name}-{number}", f"{name}-{number}")
                export_folder.clean(folder)
                export_folder.put_in_place(staging, folder)
        except OSError as error:
            faults.append(error)

    threads = [threading.Thread(target=export, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert names(tmp_path) == ["tiny"]
    assert (folder / "card.md").read_text() == (folder / "saved_model.pb").read_text()


def test_a_model_that_a_killed_export_had_put_aside_comes_back(tmp_path):
    # As if it had been killed between its two renames.
    model(tmp_path / f".tiny.abcd.{HOST}.old", "first")
    model(tmp_path / f".tiny.efgh.{HOST}.part", "second")
    export_folder.clean(tmp_path / "tiny")
    assert names(tmp_path) == ["tiny"]
    assert (tmp_path / "tiny/card.md").read_text() == "first"


def test_a_model_that_a_killed_export_had_replaced_is_removed_and_those_of_others_stay(tmp_path):
    model(tmp_path / "tiny", "second")
    model(tmp_path / f".tiny.abcd.{HOST}.old", "first")
    others = [f".tiny-2.abcd.{HOST}.old", ".tiny.abcd.@0123abcd.old", ".tiny.abcd.@0123abcd.part"]
    for other in others:
        model(tmp_path / other, "of another")
    export_folder.clean(tmp_path / "tiny")
    assert set(names(tmp_path)) == {"tiny", *others}
    assert (tmp_path / "tiny/card.md").read_text() == "second"
