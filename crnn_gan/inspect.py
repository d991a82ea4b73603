"""Says what an exported model holds, whether it would be loaded, and how it is called."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from crnn_gan.generation.audit import RefusedError, audited_copy
from crnn_gan.generation.interface import Argument, Interface
from pipelines.command_line import parse, run_command
from pipelines.settings import Settings

LARGEST_HASHED_BYTES = 2**33
FILES = {
    *("saved_model.pb", "fingerprint.pb", "signature.json", "config.json", "card.md"),
    *("variables/variables.index", "variables/variables.data-00000-of-00001"),
}
USAGE = """python -m crnn_gan.inspect MODEL

Audits an exported model without loading it: says whether `sample` and `evaluate` would load it,
what speaks against it, the SHA-256 of its files, and how its functions are called. Exit status 0:
accepted, 1: refused."""


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """There is nothing to set."""


def main(argv: list[str]) -> None:
    """Inspects the exported model that a command line names, and prints what was found.

    Raises:
      ValueError: the model is refused.
      UsageError: there is no such folder.
    """
    folders = [word for word in argv if not word.startswith("-")]
    parse([word for word in argv if word.startswith("-")], USAGE, Flags)
    if len(folders) != 1:
        raise ValueError("give one folder: python -m crnn_gan.inspect MODEL")
    folder = Path(folders[0])
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; give that of an exported model")
    findings, operations, interface = [], 0, None
    try:
        with audited_copy(folder) as audited:
            operations = len(audited.operations)
    except RefusedError as refused:
        findings += refused.findings
    try:
        interface = Interface.read(folder)
    except ValueError as error:
        findings.append(str(error))
    _print(f"{folder}: {'refused' if findings else 'accepted'}", "")
    if findings:
        _print("what speaks against it:", *(f"  {finding}" for finding in findings))
    else:
        _print(f"operations: {operations} kinds, each of them allowed")
    _print("", "files (SHA-256, bytes, name):", *_files(folder))
    if findings:
        reasons = "1 reason" if len(findings) == 1 else f"{len(findings)} reasons"
        raise ValueError(f"{folder} is refused for {reasons}; sample and evaluate do not load it")
    if interface is not None:
        _print("", "functions:", *_functions(interface))
        _print("", "how to call it:", *_calls(folder, interface))


def _print(*lines: str) -> None:
    """Prints lines; what others wrote into them moves no cursor and begins no line."""
    for line in lines:
        print("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line))


def _files(folder: Path) -> Iterator[str]:
    """Gives a line for each file of an exported model; of others that lie there only the name."""
    for path in sorted(path for pattern in ("*", "variables/*") for path in folder.glob(pattern)):
        if not path.is_file() or path.is_symlink():
            continue
        name, size = path.relative_to(folder), path.stat().st_size
        digest = "not of the model, or too large".ljust(64)
        if str(name) in FILES and size <= LARGEST_HASHED_BYTES:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        yield f"  {digest}  {size:>13,}  {name}"


def _functions(interface: Interface) -> Iterator[str]:
    gives = ", ".join(interface.outputs)
    taken = interface.arguments
    each = {name: argument for name, argument in taken.items() if name != "count"}
    yield f"  generate({', '.join(_taken(n, a) for n, a in taken.items())}) -> {gives}"
    yield f"  serving_default({', '.join(f'{n}: {a.dtype}[batch]' for n, a in each.items())})"
    if interface.continues:
        yield "  continue_primer(primer: int32[steps, ...], and what generate takes)"
    for name, argument in taken.items():
        yield f"    {name}: {argument.help}; {argument.range}"
    for name, words in interface.outputs.items():
        yield f"    {name}: {words}"


def _taken(name: str, argument: Argument) -> str:
    size = f"[{argument.size}]" if argument.size else ""
    default = "" if argument.default is None else f" = {argument.default}"
    return f"{name}: {argument.dtype}{size}{default}"


def _calls(folder: Path, interface: Interface) -> Iterator[str]:
    yield f"  python -m crnn_gan.sample --saved_model={folder} --count=4 --out_dir=pieces"
    yield "  in Python, which does not audit it again:"
    yield f'    tf.saved_model.load("{folder}").generate(seed=7)["{interface.file.output}"]'
    yield "  in C and on a server: docs/calling_from_c.md"


def run() -> int:
    """Runs the command; gives its exit status."""
    return run_command(main)


if __name__ == "__main__":
    sys.exit(run())
