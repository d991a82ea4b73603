"""The example in the docstring of each model: it runs, and gives what it says."""

import doctest
import importlib

import pytest

from crnn_gan.models.registry import model_class, model_names

WITHOUT = {"c_rnn_gan", "mlp_gan"}  # Models that have no example yet.


@pytest.mark.parametrize("name", model_names())
def test_the_example_in_the_docstring_gives_what_it_says(name):
    names = vars(importlib.import_module(f"crnn_gan.models.{name}"))
    found = doctest.DocTestFinder(recurse=False).find(model_class(name), name, globs=dict(names))
    examples = [test for test in found if test.examples]
    assert examples or name in WITHOUT, "give an example in the docstring of Model"
    runner, said = doctest.DocTestRunner(), []
    for example in examples:
        runner.run(example, out=said.append)
    assert not said, "".join(said)
