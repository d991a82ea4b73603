"""Which test files need Keras: those that import it, and those that import or name what does.

Found in the text of the files, so that nothing is imported: `import` statements at any depth but
not under TYPE_CHECKING; conftest.py of a test's folders; and names in quotes of modules and of
benchmarks, which tests start as programs (`python -m crnn_gan.train`) or load by their path.
"""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"


def is_for_backend(path: Path, backend: str) -> bool:
    """Says whether a test file is to be collected: TensorFlow runs all, JAX what needs Keras."""
    return backend == "tensorflow" or (needs_keras(path) and not is_for_tensorflow(path))


@functools.cache
def needs_keras(path: Path) -> bool:
    """Says whether a Python file of this project reaches Keras."""
    reached, todo = {path}, [path]
    while todo:
        names, files = imports_of(todo.pop())
        if "keras" in names:
            return True
        todo += files - reached
        reached |= files
    return False


@functools.cache
def imports_of(path: Path) -> tuple[frozenset[str], frozenset[Path]]:
    """Gives the first words of the modules that a file imports, and those of our files."""
    dotted = set(names_in(ast.parse(path.read_text(encoding="utf-8"))))
    files = {found for name in dotted for found in files_of(name, path.parent)}
    if path.is_relative_to(TESTS):
        files |= {folder / "conftest.py" for folder in path.parents if folder.is_relative_to(TESTS)}
    return (
        frozenset(name.split(".")[0] for name in dotted if "/" not in name),
        frozenset(file for file in files if file.is_file()),
    )


def names_in(node: ast.AST) -> Iterator[str]:
    """Yields the dotted names that a node imports, and the words in quotes that may be some."""
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        for other in node.orelse:
            yield from names_in(other)
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        if node.value.endswith(".py"):
            yield f"benchmarks/{Path(node.value).name}"
        elif node.value.startswith(("crnn_gan.", "pipelines.")):
            yield node.value
    for child in ast.iter_child_nodes(node):
        yield from names_in(child)


def files_of(name: str, folder: Path) -> Iterator[Path]:
    """Yields the files of this project that `import name` runs in a file of this folder."""
    if "/" in name:
        yield ROOT / name
        return
    words = name.split(".")
    if words[0] in ("crnn_gan", "pipelines"):
        for end in range(1, len(words) + 1):
            place = ROOT.joinpath(*words[:end])
            yield from (place / "__init__.py", place.with_suffix(".py"))
    elif folder.is_relative_to(TESTS):
        yield from (found for found in helpers() if found.stem == words[0])
        yield ROOT / "benchmarks" / f"{words[0]}.py"
    else:
        yield folder / f"{words[0]}.py"


@functools.cache
def helpers() -> tuple[Path, ...]:
    """Lists the modules of tests/ that tests import; their folders are on the path."""
    return tuple(sorted(p for p in TESTS.rglob("*.py") if not p.name.startswith("test_")))


def is_for_tensorflow(path: Path) -> bool:
    """Says whether a test file has `pytestmark = pytest.mark.tensorflow_only`."""
    return any(
        isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]) == "pytestmark"
        and "pytest.mark.tensorflow_only" in ast.unparse(node.value)
        for node in ast.parse(path.read_text(encoding="utf-8")).body
    )
