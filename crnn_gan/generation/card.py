"""The card of an exported model: what it is, what it learned from, and how to call it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from crnn_gan.generation.interface import Interface


@dataclasses.dataclass(frozen=True)
class DataSource:
    """Where the music came from that a model learned.

    Attributes:
      name: the collection, or the user's own words for it.
      licence: its licence, or "" where the source states none.
      citation: how to cite it, or "".
      homepage: its address, or "".
    """

    name: str
    licence: str = ""
    citation: str = ""
    homepage: str = ""


def card_text(
    name: str,
    model: str,
    codec: str,
    interface: Interface,
    data: DataSource,
    figures: Mapping[str, str] | None = None,
    weights: str = "",
) -> str:
    """Gives the text of card.md, in Markdown.

    Args:
      name: of the exported model: its folder's.
      model: of the family, such as "c_rnn_gan".
      codec: its name, such as "note_tuples".
      interface: what it takes.
      data: what it learned from.
      figures: what was measured of it, each with data, split and unit in its words.
      weights: which ones of the run, in words; "" where nobody knows.
    """
    parts = [
        f"# {name}",
        f"A {model} that writes music, one {interface.step} after another (codec {codec}). It "
        f"turns a seed into a complete {interface.file.kind}; the same seed gives the same file "
        "on one runtime." + (f" Its weights are {weights}." if weights else ""),
        "## Data",
        _data(data),
        *_figures(figures or {}),
        "## How to call it",
        _arguments(interface),
        _python(name, interface),
        _outputs(interface),
        "`serving_default` takes `seed`, `length` and the controls as vectors, one of each a "
        "piece. From C: signature.json names the operations, docs/calling_from_c.md shows how.",
    ]
    return "\n\n".join(parts) + "\n"


def _data(data: DataSource) -> str:
    lines = [f"- {data.name}", f"- licence: {data.licence or 'none stated'}"]
    lines.append(f"- cite: {data.citation or 'nothing stated'}")
    return "\n".join([*lines, *([f"- {data.homepage}"] if data.homepage else [])])


def _figures(figures: Mapping[str, str]) -> list[str]:
    lines = [f"- {name}: {value}" for name, value in figures.items()]
    return ["## Figures", "\n".join(lines)] if lines else []


def _arguments(interface: Interface) -> str:
    lines = ["| argument | default | range | what it does |", "| --- | --- | --- | --- |"]
    for name, argument in interface.arguments.items():
        default = "must be given" if argument.default is None else numbers(argument.default)
        ends = f"{argument.low:g} to {argument.high:g}" if name != "seed" else "any int64"
        lines.append(f"| `{name}` | {default} | {ends} | {argument.help} |")
    return "\n".join(lines)


def _outputs(interface: Interface) -> str:
    lines = ["| it gives | what that is |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| `{n}` | {text} |" for n, text in interface.outputs.items())])


def numbers(value: float | tuple[float, ...]) -> str:
    """Writes a number, or several with commas, in as few digits as say it."""
    return f"{value:g}" if not isinstance(value, tuple) else ",".join(f"{x:g}" for x in value)


def _python(name: str, interface: Interface) -> str:
    file = interface.file
    variable = file.suffix.removeprefix(".")
    # The model has a name of its own: TensorFlow forgets the weights of one that nobody holds.
    return (
        "In Python, with TensorFlow alone:\n\n"
        "```python\n"
        "import pathlib, tensorflow as tf\n"
        f'model = tf.saved_model.load("exported_models/{name}")\n'
        f'{variable} = model.generate(seed=7)["{file.output}"].numpy()[0]\n'
        f'pathlib.Path("piece{file.suffix}").write_bytes({variable})\n'
        "```"
    )
